//! The textbook's two classes: `LoRALayer` and `LinearWithLoRA`.
//!
//! They stand beside `Linear` and not in `lora/`, because [`super::AnyLinear`], which is either a plain layer or one
//! with adapters, needs both. `lora/` holds what is done to whole models.

use super::{Linear, Pass};
use crate::error::{Error, Result};
use crate::ops::dropout::{Dropout, dropout};
use crate::ops::linear::lora_linear;
use crate::rng::{Rng, key_of};
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What all layers of one adapter share: whether it acts, and how strongly.
#[derive(Debug)]
pub struct Switch {
    active: AtomicBool,
    /// The bits of an f32, since the standard library has no atomic float.
    strength: AtomicU32,
}

impl Default for Switch {
    fn default() -> Self {
        Self { active: AtomicBool::new(true), strength: AtomicU32::new(1f32.to_bits()) }
    }
}

impl Switch {
    /// Whether the adapter acts.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Switches the adapter on or off.
    pub fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::Relaxed);
    }

    /// The factor on the scaling: 0 is the base, 1 what was trained.
    pub fn strength(&self) -> f32 {
        f32::from_bits(self.strength.load(Ordering::Relaxed))
    }

    /// Sets the factor on the scaling.
    pub fn set_strength(&self, strength: f32) {
        self.strength.store(strength.to_bits(), Ordering::Relaxed);
    }
}

/// The two matrices of one adapted layer: `Δy = scaling · (x·A)·B` (Hu et al., 2021, eq. 3).
///
/// `A (in, rank)` and `B (rank, out)` are stored as the textbook multiplies them; PEFT's files hold
/// the transposes.
#[derive(Clone, Debug)]
pub struct LoraLayer {
    pub a: Var,
    pub b: Var,
    scaling: f64,
    dropout: f32,
    switch: Arc<Switch>,
}

impl LoraLayer {
    /// The textbook's `LoRALayer(in_dim, out_dim, rank, alpha)`: A from `kaiming_uniform_(a=√5)` on a
    /// tensor `(in, rank)`, whose fan-in PyTorch takes to be `rank`: `U(±1/√rank)`; B zero; and
    /// `forward(x) = alpha · (x·A·B)`.
    ///
    /// # Errors
    /// `config` if a size is zero.
    pub fn new(in_dim: usize, out_dim: usize, rank: usize, alpha: f64, rng: &mut Rng) -> Result<Self> {
        Self::with_bound(in_dim, out_dim, rank, alpha, 1. / (rank.max(1) as f64).sqrt(), rng)
    }

    /// A layer whose A is drawn from `U(±bound)`, with `scaling` as the factor of `x·A·B`.
    ///
    /// # Errors
    /// `config` if a size is zero.
    pub fn with_bound(
        in_dim: usize,
        out_dim: usize,
        rank: usize,
        scaling: f64,
        bound: f64,
        rng: &mut Rng,
    ) -> Result<Self> {
        for (name, size) in [("in_dim", in_dim), ("out_dim", out_dim), ("rank", rank)] {
            if size == 0 {
                return Err(Error::config(name, "at least 1", size));
            }
        }
        let a = (0..in_dim * rank).map(|_| ((2. * f64::from(rng.uniform()) - 1.) * bound) as f32).collect();
        Ok(Self {
            a: Var::from_tensor(&Tensor::from_vec::<_, f32>(a, (in_dim, rank), &Device::Cpu)?)?,
            b: Var::from_tensor(&Tensor::from_vec(vec![0f32; rank * out_dim], (rank, out_dim), &Device::Cpu)?)?,
            scaling,
            dropout: 0.,
            switch: Arc::default(),
        })
    }

    /// Sets the dropout on the adapter's input, in `[0, 1)`.
    #[must_use]
    pub fn with_dropout(mut self, dropout: f32) -> Self {
        self.dropout = dropout;
        self
    }

    /// Joins the layers of one adapter to a common switch.
    #[must_use]
    pub fn with_switch(mut self, switch: &Arc<Switch>) -> Self {
        self.switch = Arc::clone(switch);
        self
    }

    /// The rank r.
    pub fn rank(&self) -> usize {
        self.a.dims()[1]
    }

    /// The factor of `x·A·B`, without the strength.
    pub fn scaling(&self) -> f64 {
        self.scaling
    }

    /// Number of trainable parameters, `rank · (in + out)`.
    pub fn parameters(&self) -> usize {
        self.a.elem_count() + self.b.elem_count()
    }

    /// The switch it shares with the adapter's other layers.
    pub fn switch(&self) -> &Arc<Switch> {
        &self.switch
    }

    fn scale(&self) -> f32 {
        self.scaling as f32 * self.switch.strength()
    }

    /// `scaling · strength · (x·A)·B`: `x (…, in)` → `(…, out)`, by candle's own operations. A model
    /// uses the fused form in [`LinearWithLora::forward`]; this one is the definition.
    ///
    /// # Errors
    /// `tensor` if the last dimension of `x` is not `in`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = x.broadcast_matmul(self.a.as_tensor())?;
        Ok((hidden.broadcast_matmul(self.b.as_tensor())? * f64::from(self.scale()))?)
    }

    /// `ΔW = scaling · strength · A·B`, `(in, out)`.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn delta(&self) -> Result<Tensor> {
        Ok((self.a.as_tensor().detach().matmul(&self.b.as_tensor().detach())? * f64::from(self.scale()))?)
    }
}

/// A linear layer with any number of named adapters, of which the active one acts:
/// `y = x·W + bias + strength · scaling · (x·A)·B`.
#[derive(Debug)]
pub struct LinearWithLora {
    linear: Linear,
    merged: Option<Linear>,
    adapters: BTreeMap<String, LoraLayer>,
    /// The layer's key for dropout: its path, hashed.
    key: u64,
}

impl LinearWithLora {
    /// A layer at `path` without adapters yet.
    pub fn new(linear: Linear, path: &str) -> Self {
        Self { linear, merged: None, adapters: BTreeMap::new(), key: key_of(path) }
    }

    /// The base layer.
    pub fn base(&self) -> &Linear {
        &self.linear
    }

    /// The layer whose weights a forward pass reads.
    pub fn in_use(&self) -> &Linear {
        self.merged.as_ref().unwrap_or(&self.linear)
    }

    /// The adapters by name.
    pub fn adapters(&mut self) -> &mut BTreeMap<String, LoraLayer> {
        &mut self.adapters
    }

    fn active(&self) -> Option<&LoraLayer> {
        self.adapters.values().find(|layer| layer.switch.is_active())
    }

    /// Adds the active adapter to a copy of the weight, which then serves instead.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours; nothing is changed then.
    pub fn merge(&mut self) -> Result<()> {
        if let Some(layer) = self.active() {
            self.merged = Some(self.linear.plus(&layer.delta()?)?);
        }
        Ok(())
    }

    /// Goes back to the base layer, which merging has not touched.
    pub fn unmerge(&mut self) {
        self.merged = None;
    }

    /// `x (…, in)` → `(…, out)`, base and adapter in one operation.
    ///
    /// # Errors
    /// `tensor` if the last dimension of `x` is not `in`.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        if let Some(merged) = &self.merged {
            return merged.forward(x);
        }
        let Some(layer) = self.active() else { return self.linear.forward(x) };
        let drop = pass
            .dropout_key
            .filter(|_| layer.dropout > 0.)
            .map(|key| Dropout { probability: layer.dropout, key: Rng::keyed(key, &[self.key]).next_u64() });
        if self.linear.weight().track_op() {
            let input = drop.map_or(Ok(x.clone()), |drop| dropout(x, &drop))?;
            return Ok((self.linear.forward(x)? + layer.forward(&input)?)?);
        }
        Ok(lora_linear(x, self.linear.frozen(), layer.a.as_tensor(), layer.b.as_tensor(), layer.scale(), drop)?)
    }
}
