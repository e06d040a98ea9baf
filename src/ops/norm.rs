//! Layer norm over the last dimension.

use super::{gradient, lock, output, rows_and_width, slice, with_slice};
use crate::kernel;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::sync::Mutex;

/// `y = (x − mean) / √(variance + ε) · weight + bias` for each row of `x (…, width)`;
/// `weight` and `bias` are `(width)`. Their gradients are computed only if they train.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32) -> Result<Tensor> {
    x.contiguous()?.apply_op3(weight, bias, LayerNorm { epsilon, stats: Mutex::default() })
}

struct LayerNorm {
    epsilon: f32,
    /// Mean and reciprocal standard deviation of each row, kept for the backward pass.
    stats: Mutex<Vec<f32>>,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight, bias) = (slice(x, x_layout)?, slice(weight, weight_layout)?, slice(bias, bias_layout)?);
        let (rows, width) = rows_and_width(x_layout.shape());
        if weight.len() != width || bias.len() != width {
            candle_core::bail!("layer norm over {width} got {} weights and {} biases", weight.len(), bias.len());
        }
        let (mut y, mut stats) = (vec![0.; x.len()], vec![0.; 2 * rows]);
        kernel::layer_norm(x, weight, bias, self.epsilon, &mut y, &mut stats);
        *lock(&self.stats) = stats;
        output(y, x_layout.shape())
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let stats = lock(&self.stats);
        let width = weight.elem_count();
        with_slice(x, |x_values| {
            with_slice(dy, |dy| {
                let dx = x.track_op().then(|| {
                    let mut dx = vec![0.; x_values.len()];
                    with_slice(weight, |weight| kernel::layer_norm_backward(x_values, weight, &stats, dy, &mut dx))?;
                    gradient(dx, x)
                });
                let affine = (weight.track_op() || bias.track_op()).then(|| {
                    let (mut dweight, mut dbias) = (vec![0.; width], vec![0.; width]);
                    kernel::layer_norm_weight_backward(x_values, &stats, dy, &mut dweight, &mut dbias);
                    Ok::<_, candle_core::Error>((gradient(dweight, weight)?, gradient(dbias, bias)?))
                });
                let (dweight, dbias) = affine.transpose()?.unzip();
                Ok((dx.transpose()?, dweight, dbias))
            })
        })??
    }
}
