//! What one forward pass is told besides its input.

use candle_core::Tensor;

/// Keys and values of one block's earlier positions, each `(past, width)`.
#[derive(Clone, Debug, Default)]
pub struct LayerCache {
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
}

/// Keys and values of all blocks: a new token attends to them instead of recomputing them.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    length: usize,
}

impl KvCache {
    /// An empty cache for a model of `blocks` blocks.
    pub fn new(blocks: usize) -> Self {
        Self { layers: vec![LayerCache::default(); blocks], length: 0 }
    }

    /// Positions held.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Forgets everything; the memory is kept for reuse.
    pub fn clear(&mut self) {
        self.length = 0;
        for layer in &mut self.layers {
            layer.keys.clear();
            layer.values.clear();
        }
    }

    /// One block's part.
    pub fn layer(&mut self, block: usize) -> Option<&mut LayerCache> {
        self.layers.get_mut(block)
    }

    /// Says that every block has taken in `new` positions.
    pub fn advance(&mut self, new: usize) {
        self.length += new;
    }
}

/// What enters the lowest block that trains. For the same tokens it stays the same all through a training, since
/// nothing that trains has a part in it.
#[derive(Clone, Debug)]
pub struct BlockInput {
    /// The block, counted from 0.
    pub(crate) block: usize,
    /// `(batch, time, width)`
    pub(crate) hidden: Tensor,
}

/// The circumstances of one forward pass. `Pass::default()` is plain inference.
#[derive(Debug, Default)]
pub struct Pass<'a> {
    /// Earlier positions, for generation.
    pub cache: Option<&'a mut KvCache>,
    /// Present in training: what dropout is drawn from, a function of seed, step and sequence.
    pub dropout_key: Option<u64>,
    /// Dropout on embeddings and on what a block adds, for full training; LoRA's own is the adapter's.
    pub model_dropout: f32,
    /// A place that belongs to these tokens and this model. The first pass leaves here what enters the lowest block
    /// that trains, unless that is the first block; later passes begin there.
    pub block_input: Option<&'a mut Option<BlockInput>>,
}
