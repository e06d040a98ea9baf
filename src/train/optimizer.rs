//! AdamW whose state can be saved; candle-nn's hides its moments.

use crate::error::{Error, Result};
use crate::kernel::{self, AdamwStep};
use crate::ops::with_slice;
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

/// The settings of [`AdamW`], under PyTorch's names and with its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamWConfig {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

impl AdamWConfig {
    /// # Errors
    /// `config`, naming the setting.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0. ..1.).contains(&value) {
                return Err(Error::config(name, "0 or more, and less than 1", value));
            }
        }
        for (name, value) in [("epsilon", self.epsilon), ("weightDecay", self.weight_decay)] {
            if !(value.is_finite() && value >= 0.) {
                return Err(Error::config(name, "a finite number of 0 or more", value));
            }
        }
        Ok(())
    }
}

/// Values and optimizer state at some step.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    values: Vec<f32>,
    moments: [Vec<f32>; 2],
    step: usize,
}

/// The values of all variables, one after the other, into a buffer whose memory is used again.
///
/// # Errors
/// `tensor`, on a defect of ours.
pub fn read_values(vars: &[Var], all: &mut Vec<f32>) -> Result<()> {
    all.clear();
    for var in vars {
        with_slice(var.as_tensor(), |values| all.extend_from_slice(values))?;
    }
    Ok(())
}

/// Writes values back, in the order of [`read_values`].
///
/// # Errors
/// `tensor`, on a defect of ours.
pub fn write_values(vars: &[Var], mut values: &[f32]) -> Result<()> {
    for var in vars {
        let (own, rest) = values.split_at_checked(var.elem_count()).unwrap_or((values, &[]));
        var.set(&Tensor::from_slice(own, var.shape(), &Device::Cpu)?)?;
        values = rest;
    }
    Ok(())
}

/// Decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2), by PyTorch's update rule exactly.
#[derive(Clone, Debug)]
pub struct AdamW {
    config: AdamWConfig,
    vars: Vec<Var>,
    /// First and second moments, all variables one after the other.
    moments: [Vec<f32>; 2],
    /// Updates done.
    pub(super) step: usize,
}

impl AdamW {
    /// An optimizer of `vars`, which it holds in this order.
    ///
    /// # Errors
    /// `config`.
    pub fn new(vars: Vec<Var>, config: AdamWConfig) -> Result<Self> {
        config.check()?;
        let count = vars.iter().map(|var| var.elem_count()).sum();
        Ok(Self { config, vars, moments: [vec![0.; count], vec![0.; count]], step: 0 })
    }

    /// The variables it updates.
    pub fn vars(&self) -> &[Var] {
        &self.vars
    }

    /// Number of parameters it updates.
    pub fn parameters(&self) -> usize {
        self.moments[0].len()
    }

    /// The values of all variables, one after the other.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn values(&self) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(self.parameters());
        read_values(&self.vars, &mut all)?;
        Ok(all)
    }

    /// Copies all that an update changes, into buffers whose memory is used again.
    pub(super) fn remember(&self, snapshot: &mut Snapshot) -> Result<()> {
        read_values(&self.vars, &mut snapshot.values)?;
        snapshot.moments.clone_from(&self.moments);
        snapshot.step = self.step;
        Ok(())
    }

    /// Undoes what came after [`Self::remember`].
    pub(super) fn go_back(&mut self, snapshot: Snapshot) -> Result<()> {
        self.set_values(&snapshot.values)?;
        (self.moments, self.step) = (snapshot.moments, snapshot.step);
        Ok(())
    }

    /// Writes values back, in the order of [`Self::values`].
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn set_values(&self, values: &[f32]) -> Result<()> {
        write_values(&self.vars, values)
    }

    /// First and second moments, in the order of [`Self::values`], and the updates done.
    pub fn state(&self) -> ([&[f32]; 2], usize) {
        (self.moments.each_ref().map(Vec::as_slice), self.step)
    }

    /// Goes on from what [`Self::state`] gave.
    ///
    /// # Errors
    /// `config` if the moments are not as many as the parameters.
    pub fn set_state(&mut self, moments: [Vec<f32>; 2], step: usize) -> Result<()> {
        for moment in &moments {
            if moment.len() != self.parameters() {
                return Err(Error::config("moments", format!("{} numbers", self.parameters()), moment.len()));
            }
        }
        (self.moments, self.step) = (moments, step);
        Ok(())
    }

    /// One update with `gradients · scale`, in the order of [`Self::values`]; says whether all values are finite after
    /// it.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn update(&mut self, gradients: &[f32], scale: f64, learning_rate: f64) -> Result<bool> {
        let AdamWConfig { beta1, beta2, epsilon, weight_decay } = self.config;
        let mut values = self.values()?;
        self.step += 1;
        let t = i32::try_from(self.step).unwrap_or(i32::MAX);
        let step = AdamwStep {
            lr: learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            bias_correction1: 1. - beta1.powi(t),
            bias_correction2: 1. - beta2.powi(t),
            grad_scale: scale,
        };
        let [m, v] = &mut self.moments;
        kernel::adamw(&mut values, gradients, m, v, &step);
        self.set_values(&values)?;
        Ok(values.iter().all(|x| x.is_finite()))
    }
}
