//! A linear layer's weight that does not train, packed for the kernel.

use super::with_slice;
use crate::kernel::{self, Packed};
use candle_core::{Result, Shape, Tensor};
use std::sync::OnceLock;

/// How a checkpoint stores a linear layer's weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// `(in, out)`: GPT-2's `Conv1D`.
    InOut,
    /// `(out, in)`: PyTorch's `nn.Linear`, and a head tied to the token embedding.
    OutIn,
}

/// A weight that does not train, packed for the matmul kernel once, at its first use.
#[derive(Debug)]
pub struct FrozenWeight {
    weight: Tensor,
    bias: Option<Tensor>,
    orientation: Orientation,
    forward: OnceLock<Packed>,
    pub(super) backward: OnceLock<Packed>,
}

impl FrozenWeight {
    /// `weight` as `orientation` says, `bias (out)`.
    pub fn new(weight: Tensor, bias: Option<Tensor>, orientation: Orientation) -> Result<Self> {
        let _ = weight.dims2()?;
        Ok(Self { weight, bias, orientation, forward: OnceLock::new(), backward: OnceLock::new() })
    }

    /// Input and output features.
    pub fn features(&self) -> (usize, usize) {
        let dims = self.weight.dims();
        match self.orientation {
            Orientation::InOut => (dims[0], dims[1]),
            Orientation::OutIn => (dims[1], dims[0]),
        }
    }

    /// The packed `(in, out)` operand of `y = x·W`.
    fn forward(&self) -> Result<&Packed> {
        let (inputs, outputs) = self.features();
        self.packed(&self.forward, inputs, outputs, self.orientation == Orientation::OutIn)
    }

    /// The packed `(out, in)` operand of `dx = dy·Wᵀ`.
    fn backward(&self) -> Result<&Packed> {
        let (inputs, outputs) = self.features();
        self.packed(&self.backward, outputs, inputs, self.orientation == Orientation::InOut)
    }

    fn packed<'a>(&'a self, slot: &'a OnceLock<Packed>, k: usize, n: usize, transposed: bool) -> Result<&'a Packed> {
        if let Some(packed) = slot.get() {
            return Ok(packed);
        }
        let pack = if transposed { Packed::new_transposed } else { Packed::new };
        let packed = with_slice(&self.weight, |weight| pack(weight, k, n))?;
        Ok(slot.get_or_init(|| packed))
    }

    /// Whether what the kernel reads is still what the checkpoint holds, bit for bit.
    pub fn packed_equals_weight(&self) -> Result<bool> {
        let (inputs, outputs) = self.features();
        with_slice(&self.weight, |weight| {
            let at = |i: usize, o: usize| match self.orientation {
                Orientation::InOut => weight[i * outputs + o],
                Orientation::OutIn => weight[o * inputs + i],
            };
            let same = |i: usize, o: usize| {
                self.forward.get().is_none_or(|p| p.get(i, o).to_bits() == at(i, o).to_bits())
                    && self.backward.get().is_none_or(|p| p.get(o, i).to_bits() == at(i, o).to_bits())
            };
            (0..inputs).all(|i| (0..outputs).all(|o| same(i, o)))
        })
    }

    /// `y = x·W + bias`, and `+ h·B` of an adapter, into a new buffer; `x (rows, in)`, `h (rows, rank)`.
    pub(super) fn apply(&self, x: &[f32], rows: usize, adapter: Option<(&[f32], &Packed)>) -> Result<Vec<f32>> {
        let bias = self.bias.as_ref();
        let product =
            |bias: Option<&[f32]>| Ok::<_, candle_core::Error>(multiply(x, self.forward()?, bias, adapter, rows));
        bias.map_or_else(|| product(None), |bias| with_slice(bias, |bias| product(Some(bias)))?)
    }

    /// `dx = dy·Wᵀ`, and `+ dh·Aᵀ` of an adapter, into a new buffer; `dy (rows, out)`, `dh (rows, rank)`.
    pub(super) fn apply_backward(
        &self,
        dy: &[f32],
        rows: usize,
        adapter: Option<(&[f32], &Packed)>,
    ) -> Result<Vec<f32>> {
        Ok(multiply(dy, self.backward()?, None, adapter, rows))
    }

    pub(super) fn output_shape(&self, x: &Shape) -> Result<Vec<usize>> {
        let (inputs, outputs) = self.features();
        let mut dims = x.dims().to_vec();
        match dims.last_mut() {
            Some(last) if *last == inputs => *last = outputs,
            _ => candle_core::bail!("a linear layer of {inputs} inputs got {dims:?}"),
        }
        Ok(dims)
    }
}

/// `x·w + bias + h·b` into a new buffer.
fn multiply(x: &[f32], w: &Packed, bias: Option<&[f32]>, adapter: Option<(&[f32], &Packed)>, rows: usize) -> Vec<f32> {
    let mut y = vec![0.; rows * w.n()];
    match adapter {
        Some((h, b)) => kernel::matmul_packed_plus(x, w, bias, h, b, &mut y),
        None => kernel::matmul_packed(x, w, bias, &mut y),
    }
    y
}
