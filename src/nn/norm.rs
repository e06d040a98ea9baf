//! Layer norm.

use crate::error::Result;
use crate::ops::norm::layer_norm;
use candle_core::Tensor;

/// Layer norm over the last dimension (Ba, Kiros and Hinton, 2016).
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// `(width)`
    pub weight: Tensor,
    /// `(width)`
    pub bias: Tensor,
    pub epsilon: f64,
}

impl LayerNorm {
    /// `x (…, width)` → the same shape.
    ///
    /// # Errors
    /// `tensor` if the last dimension of `x` is not `width`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(layer_norm(x, &self.weight, &self.bias, self.epsilon as f32)?)
    }
}
