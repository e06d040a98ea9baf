//! A linear layer in either of the two orientations that checkpoints use.

use crate::error::Result;
use crate::ops::linear::{Frozen, Orientation, linear};
use crate::ops::trainable::linear_trainable;
use candle_core::Tensor;
use std::sync::Arc;

/// `y = x·W + bias`. Frozen unless its weight is a variable.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    orientation: Orientation,
    frozen: Arc<Frozen>,
}

impl Linear {
    /// `weight` as `orientation` says, `bias (out)`.
    ///
    /// # Errors
    /// `tensor` if the weight is not a matrix.
    pub fn new(weight: Tensor, bias: Option<Tensor>, orientation: Orientation) -> Result<Self> {
        let frozen = Arc::new(Frozen::new(weight.clone(), bias.clone(), orientation)?);
        Ok(Self { weight, bias, orientation, frozen })
    }

    /// Input features.
    pub fn in_features(&self) -> usize {
        self.frozen.features().0
    }

    /// Output features.
    pub fn out_features(&self) -> usize {
        self.frozen.features().1
    }

    /// The weight as it is stored.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias `(out)`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// The packed weight, for the fused operation with an adapter.
    pub(super) fn frozen(&self) -> &Arc<Frozen> {
        &self.frozen
    }

    /// Whether the packed copies that the kernels read agree with the weight, bit for bit.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn packed_equals_weight(&self) -> Result<bool> {
        Ok(self.frozen.packed_equals_weight()?)
    }

    /// The same layer with `W + delta`; `delta (in, out)`.
    ///
    /// # Errors
    /// `tensor` if the shapes differ.
    pub fn plus(&self, delta: &Tensor) -> Result<Self> {
        let delta = match self.orientation {
            Orientation::InOut => delta.clone(),
            Orientation::OutIn => delta.t()?,
        };
        Self::new((&self.weight + delta)?, self.bias.clone(), self.orientation)
    }

    /// `x (…, in)` → `(…, out)`.
    ///
    /// # Errors
    /// `tensor` if the last dimension of `x` is not `in`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let trains = self.weight.track_op();
        Ok(if trains {
            linear_trainable(x, &self.weight, self.bias.as_ref(), self.orientation)
        } else {
            linear(x, &self.frozen)
        }?)
    }
}
