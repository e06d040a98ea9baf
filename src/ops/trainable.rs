//! A linear layer whose own weight trains: pretraining and full fine-tuning.

use super::frozen_weight::Orientation;
use super::{gradient, output, rows_and_width, slice, with_slice};
use crate::kernel::{self, Packed};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

/// `y = x·W + bias` with all three gradients: `x (…, in)` → `(…, out)`, `weight` as `orientation` says, `bias (out)`.
pub fn linear_trainable(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    orientation: Orientation,
) -> Result<Tensor> {
    let op = TrainableLinear { orientation };
    let x = x.contiguous()?;
    match bias {
        Some(bias) => x.apply_op3(weight, bias, op),
        None => x.apply_op2(weight, op),
    }
}

struct TrainableLinear {
    orientation: Orientation,
}

impl TrainableLinear {
    /// Input and output features.
    fn features(&self, weight: &Shape) -> Result<(usize, usize)> {
        let (first, second) = weight.dims2()?;
        Ok(match self.orientation {
            Orientation::InOut => (first, second),
            Orientation::OutIn => (second, first),
        })
    }

    fn forward(
        &self,
        (x, x_layout): (&CpuStorage, &Layout),
        (weight, weight_layout): (&CpuStorage, &Layout),
        bias: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let (inputs, outputs) = self.features(weight_layout.shape())?;
        let (rows, width) = rows_and_width(x_layout.shape());
        if width != inputs || bias.is_some_and(|bias| bias.len() != outputs) {
            candle_core::bail!("a linear layer {inputs} → {outputs} got {:?}", x_layout.dims());
        }
        let (x, weight) = (slice(x, x_layout)?, slice(weight, weight_layout)?);
        let packed = match self.orientation {
            Orientation::InOut => Packed::new(weight, inputs, outputs),
            Orientation::OutIn => Packed::new_transposed(weight, inputs, outputs),
        };
        let mut y = vec![0.; rows * outputs];
        kernel::matmul_packed(x, &packed, bias, &mut y);
        let mut dims = x_layout.dims().to_vec();
        dims.pop();
        dims.push(outputs);
        output(y, dims)
    }

    /// `dx = dy·Wᵀ` and `dW = xᵀ·dy`.
    fn backward(&self, x: &Tensor, weight: &Tensor, dy: &[f32]) -> Result<(Option<Tensor>, Tensor)> {
        let (inputs, outputs) = self.features(weight.shape())?;
        let (rows, _) = rows_and_width(x.shape());
        let dx = || {
            let mut dx = vec![0.; rows * inputs];
            with_slice(weight, |weight| match self.orientation {
                Orientation::InOut => kernel::matmul_nt(dy, weight, &mut dx, rows, outputs, inputs, 1., false),
                Orientation::OutIn => kernel::matmul_nn(dy, weight, &mut dx, rows, outputs, inputs, 1., false),
            })?;
            gradient(dx, x)
        };
        let mut dweight = vec![0.; inputs * outputs];
        with_slice(x, |x| match self.orientation {
            Orientation::InOut => kernel::matmul_tn(x, dy, &mut dweight, inputs, rows, outputs, 1., false),
            Orientation::OutIn => kernel::matmul_tn(dy, x, &mut dweight, outputs, rows, inputs, 1., false),
        })?;
        Ok((x.track_op().then(dx).transpose()?, gradient(dweight, weight)?))
    }
}

impl CustomOp2 for TrainableLinear {
    fn name(&self) -> &'static str {
        "trainable-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, x_layout), (weight, weight_layout), None)
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dweight) = with_slice(dy, |dy| self.backward(x, weight, dy))??;
        Ok((dx, Some(dweight)))
    }
}

impl CustomOp3 for TrainableLinear {
    fn name(&self) -> &'static str {
        "trainable-linear-with-bias"
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
        self.forward((x, x_layout), (weight, weight_layout), Some(slice(bias, bias_layout)?))
    }

    /// The gradient of the bias is the sum of `dy` over its rows.
    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let outputs = bias.elem_count();
        with_slice(dy, |dy| {
            let (dx, dweight) = self.backward(x, weight, dy)?;
            let mut dbias = vec![0.; outputs];
            dy.chunks_exact(outputs).for_each(|row| kernel::add_assign(&mut dbias, row));
            Ok((dx, Some(dweight), Some(gradient(dbias, bias)?)))
        })?
    }
}
