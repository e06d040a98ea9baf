//! An adapter: the variables of its layers, shared with the model that they sit in.

use super::config::{LoraConfig, Modules, shortest_names};
use super::qkv::{self, Fused};
use super::{LoraLayer, peft};
use crate::checkpoint::safetensors::{self, TensorFile};
use crate::error::Result;
use crate::nn::lora::Switch;
use candle_core::{Tensor, Var};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The trainable part of a fine-tuned model. Optimizing, saving, loading and averaging need only this.
#[derive(Clone, Debug)]
pub struct Adapter {
    config: LoraConfig,
    layers: BTreeMap<String, LoraLayer>,
    switch: Arc<Switch>,
}

impl Adapter {
    pub(super) fn new(config: LoraConfig, layers: BTreeMap<String, LoraLayer>, switch: Arc<Switch>) -> Self {
        Self { config, layers, switch }
    }

    /// The settings it was made with.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// Its layers by the path of the linear layer they adapt.
    pub fn layers(&self) -> &BTreeMap<String, LoraLayer> {
        &self.layers
    }

    /// Whether it acts, and how strongly.
    pub fn switch(&self) -> &Switch {
        &self.switch
    }

    /// Number of trainable parameters.
    pub fn parameters(&self) -> usize {
        self.layers.values().map(LoraLayer::parameters).sum()
    }

    /// Its variables with PEFT's names, layer by layer, A before B. This order is that of the
    /// optimizer's state and of exchanged gradients.
    pub fn named_vars(&self) -> impl Iterator<Item = (String, &Var)> {
        self.layers.iter().flat_map(|(path, layer)| {
            let [a, b] = peft::tensor_names(path);
            [(a, &layer.a), (b, &layer.b)]
        })
    }

    /// Its variables, in the order of [`Self::named_vars`].
    pub fn vars(&self) -> impl Iterator<Item = &Var> {
        self.layers.values().flat_map(|layer| [&layer.a, &layer.b])
    }

    /// `adapter_model.safetensors`: PEFT's names and orientation, `lora_A (r, in)`, `lora_B (out, r)`; of separate q, k
    /// and v the tensors of one `c_attn`.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = BTreeMap::new();
        for (path, layer) in &self.layers {
            let [a, b] = peft::tensor_names(path);
            tensors.insert(a, layer.a.as_tensor().t()?.contiguous()?);
            tensors.insert(b, layer.b.as_tensor().t()?.contiguous()?);
        }
        let joined = Fused::of(self)?.map(|fused| fused.fuse(self, &mut tensors)).transpose()?;
        safetensors::write(&tensors, joined.as_slice())
    }

    /// Loads `adapter_model.safetensors` into the variables: all or nothing.
    ///
    /// # Errors
    /// `missing-tensor`, `unknown-tensor`, `shape` and what [`TensorFile::read`] refuses; the old
    /// values are kept then. Stricter than PEFT, which loads half an adapter with a warning.
    pub fn load_safetensors(&self, bytes: &[u8]) -> Result<()> {
        self.load(TensorFile::read_without(bytes, peft::TENSORS, qkv::is_addition)?)
    }

    /// The same of a file that has been read.
    pub(super) fn load(&self, mut file: TensorFile) -> Result<()> {
        let mut updates = Vec::new();
        for (name, var) in self.named_vars() {
            let (rows, columns) = var.dims2()?;
            updates.push((var, file.take(&name, &[columns, rows])?.t()?.contiguous()?));
        }
        file.finish()?;
        set_all(updates)
    }

    /// `adapter_config.json`, as PEFT reads it.
    ///
    /// # Errors
    /// `format`, on a defect of ours.
    pub fn to_config_json(&self, available: &[String]) -> Result<String> {
        peft::write_config(self, available)
    }

    /// Sets all B to zero: the adapter then leaves the base as it is.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn zero_b(&self) -> Result<()> {
        let zeros = |layer: &LoraLayer| Ok((layer.b.clone(), layer.b.as_tensor().zeros_like()?));
        let updates = self.layers.values().map(zeros).collect::<Result<Vec<_>>>()?;
        updates.iter().try_for_each(|(var, zero)| Ok(var.set(zero)?))
    }

    /// A copy of all values, for [`Self::restore`].
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn snapshot(&self) -> Result<Vec<Tensor>> {
        self.vars().map(|var| Ok(var.as_tensor().copy()?.detach())).collect()
    }

    /// Back to the values of a [`Self::snapshot`] of this adapter.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn restore(&self, snapshot: &[Tensor]) -> Result<()> {
        set_all(self.vars().zip(snapshot.iter().cloned()).collect())
    }

    /// `target_modules` for a file, of a model whose linear layers are `available`.
    pub(super) fn target_names(&self, available: &[String]) -> Modules {
        let chosen: Vec<&str> = self.layers.keys().map(String::as_str).collect();
        let available: Vec<&str> = available.iter().map(String::as_str).collect();
        Modules::List(shortest_names(&chosen, &available))
    }
}

/// Writes checked values into their variables.
fn set_all(updates: Vec<(&Var, Tensor)>) -> Result<()> {
    updates.into_iter().try_for_each(|(var, tensor)| Ok(var.set(&tensor)?))
}
