//! A lab as bytes, and back. Saving and restoring are inverses: a restored lab gives the same answer to every question.
//!
//! Three parts, because they change at different times: the adapters (seldom), the [`Defaults`] (a few words), and the run (with each step).
//! PEFT's files would not do for the first: they hold neither an adapter's start nor the textbook's scaling, and know no separate q, k, v.

use super::Lab;
use super::adapters::Kept;
use super::training::Run;
use crate::checkpoint::safetensors::{self, TensorFile};
use crate::error::{Error, Result};
use crate::lora::{self, Adapter, LoraConfig};
use crate::rng::Rng;
use crate::train::state::SavedRun;
use crate::train::write_values;
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const WHAT: &str = "the saved adapters";
const KEY: &str = "lora_lab_adapters";
/// The tensor of all weights in a lab for full fine-tuning.
const WEIGHTS: &str = "weights";

/// What a request means which names no adapter, how strongly any acts, and what is merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    pub active: Option<String>,
    pub enabled: bool,
    pub strength: f32,
    /// The adapter that is added to the weights.
    pub merged: Option<String>,
}

/// Where a resumed run stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resumed {
    /// The adapter that it trains; absent in full fine-tuning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
}

/// What is not a tensor in [`Lab::save_adapters`].
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    /// The digest of the base as it was loaded.
    base: String,
    /// Names and settings; the tensors of the n-th are `n.values` and `n.start`.
    adapters: Vec<(String, LoraConfig)>,
}

/// What a saved run keeps of its surroundings.
#[derive(Serialize, Deserialize)]
struct Context {
    /// The digest of the base that the run began on.
    base: String,
    /// The adapter's name and settings; absent if the base's own weights train.
    adapter: Option<(String, LoraConfig)>,
}

impl Lab {
    /// All adapters with the values that they began with; in full fine-tuning the weights, unless a run holds them.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn save_adapters(&self) -> Result<Vec<u8>> {
        let mut tensors = BTreeMap::new();
        let mut adapters = Vec::new();
        for (n, (name, Kept { adapter, start })) in self.adapters.iter().enumerate() {
            adapters.push((name.clone(), adapter.config().clone()));
            tensors.insert(format!("{n}.values"), flat(adapter.vars().map(Var::as_tensor))?);
            tensors.insert(format!("{n}.start"), flat(start)?);
        }
        if let (Some(full), None) = (&self.full, &self.run)
            && full.changed
        {
            tensors.insert(WEIGHTS.into(), flat(full.vars.iter().map(Var::as_tensor))?);
        }
        let header = Header { version: 1, base: self.origin()?.to_owned(), adapters };
        let header = serde_json::to_string(&header).map_err(|e| Error::format(WHAT, e))?;
        safetensors::write(&tensors, &[(KEY, header)])
    }

    /// What requests mean that name no adapter.
    pub fn defaults(&self) -> Defaults {
        let Self { active, enabled, strength, merged, .. } = self;
        Defaults { active: active.clone(), enabled: *enabled, strength: *strength, merged: merged.clone() }
    }

    /// The run as bytes: what it trains, with the values it began with; optimizer, position, settings and text.
    ///
    /// # Errors
    /// `order` without a run.
    pub fn save_state(&self) -> Result<Vec<u8>> {
        let run =
            self.run.as_ref().ok_or(Error::Order { what: "saving the state", needs: "beginning a training run" })?;
        let kept = run.adapter.as_ref().and_then(|name| Some((name, self.adapters.get(name)?)));
        let context = Context {
            base: self.origin()?.to_owned(),
            adapter: kept.map(|(name, kept)| (name.clone(), kept.adapter.config().clone())),
        };
        let start = kept.map(|(_, kept)| flat(&kept.start)).transpose()?;
        run.trainer.save(serde_json::to_value(context).map_err(|e| Error::format("the saved state", e))?, start)
    }

    /// Makes of a lab that was just loaded the one that was saved. `run` may be newer than `adapters`.
    ///
    /// # Errors
    /// `order` if there is an adapter or a run already, `other-base`, `format`, and what [`Self::resume`] and [`Self::merge`] refuse;
    /// the lab is as it was loaded then.
    pub fn restore(&mut self, adapters: &[u8], defaults: &Defaults, run: Option<&[u8]>) -> Result<()> {
        if !self.adapters.is_empty() || self.run.is_some() {
            return Err(Error::Order { what: "restoring", needs: "a lab without adapters or a run" });
        }
        let restored = self.restore_parts(adapters, defaults, run);
        if restored.is_err() {
            for name in self.adapters.keys().cloned().collect::<Vec<_>>() {
                lora::remove(&mut self.model, &name)?;
                self.forget(&name);
            }
            (self.enabled, self.strength) = (true, 1.);
        }
        restored
    }

    fn restore_parts(&mut self, adapters: &[u8], defaults: &Defaults, run: Option<&[u8]>) -> Result<()> {
        let mut file = TensorFile::read(adapters, WHAT)?;
        let header = file.metadata(KEY).ok_or_else(|| Error::format(WHAT, format!("they have no {KEY}")))?;
        let header: Header = serde_json::from_str(header).map_err(|e| Error::format(WHAT, e))?;
        if header.version != 1 {
            return Err(Error::format(WHAT, format!("version {}, expected 1", header.version)));
        }
        self.is_origin("the saved adapters", header.base)?;
        for (n, (name, config)) in header.adapters.iter().enumerate() {
            self.not_full("restoring an adapter")?;
            let adapter = lora::attach(&mut self.model, name, config, &mut Rng::new(config.seed))?;
            // In the list at once: what fails from here on is taken out by it.
            self.keep(name, Kept { start: adapter.snapshot()?, adapter: adapter.clone() });
            let mut take = |part: &str| shaped(&file.take(&format!("{n}.{part}"), &[adapter.parameters()])?, &adapter);
            let (values, start) = (take("values")?, take("start")?);
            adapter.restore(&values)?;
            self.keep(name, Kept { adapter, start });
        }
        let mut weights = None;
        if let Some(full) = self.full.as_ref().filter(|_| file.get(WEIGHTS).is_some()) {
            let count = full.vars.iter().map(|var| var.elem_count()).sum();
            weights = Some(file.take(WEIGHTS, &[count])?.to_vec1::<f32>()?);
        }
        file.finish()?;
        match (run, weights, &mut self.full) {
            // A run holds what it has made of the weights.
            (Some(run), ..) => drop(self.resume(run)?),
            (None, Some(weights), Some(full)) => {
                write_values(&full.vars, &weights)?;
                full.changed = true;
            }
            _ => {}
        }
        if let Some(active) = &defaults.active {
            self.named(active)?;
        }
        self.active = defaults.active.clone();
        self.set_strength(f64::from(defaults.strength))?;
        self.enabled = defaults.enabled;
        match &defaults.merged {
            Some(merged) => self.merge(Some(merged)),
            None => Ok(()),
        }
    }

    /// Goes on with a saved run: its adapter is attached, replacing one of the same name, and active; or the weights are what it made of them.
    /// An earlier run ends.
    ///
    /// # Errors
    /// `format`, `shape`, `other-base` for a state that was made on another base, and `unsupported` for the other kind of training;
    /// adapters and an earlier run are as they were then.
    pub fn resume(&mut self, bytes: &[u8]) -> Result<Resumed> {
        self.not_merged("resuming")?;
        let saved = SavedRun::read(bytes)?;
        let context: Context =
            serde_json::from_value(saved.context().clone()).map_err(|e| Error::format("the saved state", e))?;
        self.is_origin("the saved state", context.base)?;
        let run = match (context.adapter, &self.full) {
            (Some((name, lora)), None) => self.resume_adapter(saved, name, &lora)?,
            (None, Some(full)) => {
                let (trainer, values) = saved.resume(full.vars.clone(), &self.model)?;
                trainer.optimizer().set_values(&values)?;
                self.generation = None;
                Run { adapter: None, trainer }
            }
            (lora, _) => {
                let detail = if lora.is_some() { "load the model without it" } else { "load the model for it" };
                return Err(Error::Unsupported { what: "resuming with full fine-tuning", detail: detail.into() });
            }
        };
        let (step, steps) = (run.trainer.steps_done(), run.trainer.config().steps);
        let resumed = Resumed { adapter: run.adapter.clone(), step, steps };
        self.begin(run);
        Ok(resumed)
    }

    /// The adapter of a saved run in the place of one of the same name, and its run.
    fn resume_adapter(&mut self, mut saved: SavedRun, name: String, lora: &LoraConfig) -> Result<Run> {
        // Built under a name of its own, so that a refusal leaves the present adapter alone.
        let scratch = "\u{0}resume";
        let adapter = lora::attach(&mut self.model, scratch, lora, &mut Rng::new(lora.seed))?;
        let resumed = || -> Result<_> {
            let start = shaped(&saved.take_start(adapter.parameters())?, &adapter)?;
            let (trainer, values) = saved.resume(adapter.vars().cloned().collect(), &self.model)?;
            trainer.optimizer().set_values(&values)?;
            Ok((trainer, start))
        };
        let (trainer, start) = match resumed() {
            Ok(parts) => parts,
            Err(error) => {
                lora::remove(&mut self.model, scratch)?;
                return Err(error);
            }
        };
        lora::remove(&mut self.model, &name)?;
        self.forget(&name);
        lora::rename(&mut self.model, scratch, &name)?;
        self.keep(&name, Kept { adapter, start });
        self.active = Some(name.clone());
        Ok(Run { adapter: Some(name), trainer })
    }

    /// Refuses what was made on another base.
    fn is_origin(&self, what: &'static str, base: String) -> Result<()> {
        let expected = self.origin()?;
        if base == expected {
            return Ok(());
        }
        Err(Error::OtherBase { what, expected: expected.to_owned(), got: base })
    }
}

/// Tensors one after the other, as one vector.
fn flat<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<Tensor> {
    let mut all = Vec::new();
    for tensor in tensors {
        crate::ops::with_slice(tensor, |values| all.extend_from_slice(values))?;
    }
    let count = all.len();
    Ok(Tensor::from_vec(all, count, &Device::Cpu)?)
}

/// The inverse of [`flat`] for an adapter's matrices.
fn shaped(all: &Tensor, adapter: &Adapter) -> Result<Vec<Tensor>> {
    let mut from = 0;
    let mut next = |var: &Var| {
        let count = var.elem_count();
        let tensor = all.narrow(0, from, count)?.reshape(var.shape())?.copy()?;
        from += count;
        Ok(tensor)
    };
    adapter.vars().map(&mut next).collect()
}
