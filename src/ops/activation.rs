//! GELU in its tanh form, as GPT-2 has it (`gelu_new`).

use super::{gradient, output, slice, with_slice};
use crate::kernel;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// `y = ½x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`, of any shape.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Gelu)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(storage, layout)?;
        let mut y = vec![0.; x.len()];
        kernel::gelu(x, &mut y);
        output(y, layout.shape())
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = vec![0.; x.elem_count()];
        with_slice(x, |x| with_slice(dy, |dy| kernel::gelu_backward(x, dy, &mut dx)))??;
        Ok(Some(gradient(dx, x)?))
    }
}
