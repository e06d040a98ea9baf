//! Causal self-attention as one operation, and the same against a cache of earlier keys and values.

use super::{gradient, lock, output, slice, with_slice};
use crate::kernel::{self, AttentionShape};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use std::sync::Mutex;

/// `softmax(q·kᵀ/√head_dim + causal mask)·v` for every head.
///
/// `qkv (batch, time, 3·width)` holds q, k and v one after the other, as GPT-2's `c_attn` makes
/// them; the result is `(batch, time, width)`.
pub fn attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, time, width3) = qkv.dims3()?;
    let shape = shape_of(batch, time, width3, heads)?;
    qkv.contiguous()?.apply_op1(Attention { shape, log_sum_exp: Mutex::default() })
}

/// Attention of `qkv (1, new, 3·width)` over all earlier positions and itself; `keys` and `values`
/// `(past, width)` grow by the new rows. Has no backward pass: it is for generation.
pub fn attention_cached(qkv: &Tensor, heads: usize, keys: &mut Vec<f32>, values: &mut Vec<f32>) -> Result<Tensor> {
    let (batch, new, width3) = qkv.dims3()?;
    if batch != 1 {
        candle_core::bail!("attention with a cache takes one sequence, got {batch}");
    }
    let shape = shape_of(batch, new, width3, heads)?;
    let width = width3 / 3;
    let mut y = vec![0.; new * width];
    with_slice(qkv, |qkv| {
        for row in qkv.chunks_exact(width3) {
            keys.extend_from_slice(&row[width..2 * width]);
            values.extend_from_slice(&row[2 * width..]);
        }
        kernel::attention_cached(qkv, keys, values, heads, shape.head_dim, &mut y);
    })?;
    Tensor::from_vec(y, (batch, new, width), &Device::Cpu)
}

fn shape_of(batch: usize, time: usize, width3: usize, heads: usize) -> Result<AttentionShape> {
    if heads == 0 || !width3.is_multiple_of(3 * heads) {
        candle_core::bail!("{width3} numbers a position do not split into q, k and v of {heads} heads");
    }
    Ok(AttentionShape { batch, time, heads, head_dim: width3 / 3 / heads })
}

struct Attention {
    shape: AttentionShape,
    /// `log Σ exp` of each row of scores: enough to recompute the probabilities going back, so no
    /// `time × time` matrix is kept (Dao et al., "FlashAttention", 2022, §3.1).
    log_sum_exp: Mutex<Vec<f32>>,
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let AttentionShape { batch, time, heads, head_dim } = self.shape;
        let mut y = vec![0.; batch * time * heads * head_dim];
        let mut log_sum_exp = vec![0.; batch * heads * time];
        kernel::attention(slice(qkv, layout)?, self.shape, &mut y, &mut log_sum_exp);
        *lock(&self.log_sum_exp) = log_sum_exp;
        output(y, (batch, time, heads * head_dim))
    }

    fn bwd(&self, qkv: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let log_sum_exp = lock(&self.log_sum_exp);
        let mut dqkv = vec![0.; qkv.elem_count()];
        with_slice(qkv, |qkv| {
            with_slice(y, |y| {
                with_slice(dy, |dy| kernel::attention_backward(qkv, y, &log_sum_exp, dy, self.shape, &mut dqkv))
            })
        })???;
        Ok(Some(gradient(dqkv, qkv)?))
    }
}
