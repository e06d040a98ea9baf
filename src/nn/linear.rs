//! A linear layer in either of the two orientations that checkpoints use.

use crate::error::{Error, Result};
use crate::ops::frozen_weight::{FrozenWeight, Orientation};
use crate::ops::linear::linear;
use crate::ops::trainable::linear_trainable;
use candle_core::Tensor;
use std::sync::Arc;

/// `y = x·W + bias`. Frozen unless its weight is a variable.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    orientation: Orientation,
    frozen: Arc<FrozenWeight>,
}

impl Linear {
    /// `weight` as `orientation` says, `bias (out)`.
    ///
    /// # Errors
    /// `tensor` if the weight is not a matrix, `unsupported` if the bias is a variable and the weight is not: the
    /// operation of a frozen weight gives no gradient but its input's.
    pub fn new(weight: Tensor, bias: Option<Tensor>, orientation: Orientation) -> Result<Self> {
        if !weight.track_op() && bias.as_ref().is_some_and(Tensor::track_op) {
            let detail = "both train, the weight alone trains, or neither does".to_owned();
            return Err(Error::Unsupported { what: "a frozen weight with a bias that trains", detail });
        }
        let frozen = Arc::new(FrozenWeight::new(weight.clone(), bias.clone(), orientation)?);
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
    pub(super) fn frozen(&self) -> &Arc<FrozenWeight> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_bias_does_not_train_without_its_weight() {
        let frozen = |dims: &[usize]| Tensor::ones(dims, candle_core::DType::F32, &Device::Cpu).unwrap();
        let variable = |dims: &[usize]| Var::from_tensor(&frozen(dims)).unwrap().into_inner();
        let new = |weight: Tensor, bias: Tensor| Linear::new(weight, Some(bias), Orientation::InOut);
        let error = new(frozen(&[2, 3]), variable(&[3])).unwrap_err();
        assert_eq!(error.code(), "unsupported");
        new(frozen(&[2, 3]), frozen(&[3])).unwrap();
        for bias in [frozen(&[3]), variable(&[3])] {
            let weight = variable(&[2, 3]);
            let y = new(weight.clone(), bias.clone()).unwrap().forward(&frozen(&[1, 2])).unwrap();
            let gradients = y.sum_all().unwrap().backward().unwrap();
            assert!(gradients.get(&weight).is_some());
            assert!(!bias.track_op() || gradients.get(&bias).is_some());
        }
    }
}
