//! Models, and what all of them can do.
//!
//! - [`gpt2`] – GPT-2, from a checkpoint, freshly initialised, or as shapes alone

pub mod gpt2;
mod source;

pub use gpt2::{Gpt2, Head, Qkv};

use crate::error::Result;
use crate::nn::{NamedChildren, Pass};
use candle_core::Tensor;

/// A causal language model.
pub trait CausalLm: NamedChildren + Send + Sync {
    /// `ids (batch, time)` → `logits (batch, time, vocabulary)`.
    ///
    /// # Errors
    /// `too-long` past the context; `tensor` for an id outside the vocabulary.
    fn forward(&self, ids: &Tensor, pass: &mut Pass) -> Result<Tensor>;

    /// The base's weights as a forward pass reads them, under the checkpoint's names, each once.
    fn named_tensors(&self) -> Vec<(String, Tensor)>;

    /// The longest context.
    fn context(&self) -> usize;

    /// Size of the vocabulary.
    fn vocabulary(&self) -> usize;

    /// Number of blocks, which is what a cache needs to know.
    fn blocks(&self) -> usize;
}
