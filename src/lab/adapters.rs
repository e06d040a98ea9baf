//! The adapters of a lab: several names on one base, one of them active.

use super::Lab;
use crate::error::{Error, Result};
use crate::lora::replace::{Plan, PlannedLayer};
use crate::lora::{self, Adapter, LoraConfig};
use crate::rng::Rng;
use candle_core::Tensor;
use serde::Serialize;

/// What an adapter trains, of what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attached {
    pub trainable: usize,
    pub total: usize,
    pub layers: Vec<PlannedLayer>,
}

/// One adapter of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdapterInfo {
    pub name: String,
    pub active: bool,
    /// Whether the run is its own, under way or at its end.
    pub training: bool,
    pub trainable: usize,
    /// Of its values in memory, and of its file but for the header.
    pub bytes: usize,
    pub rank: usize,
    pub alpha: f64,
    pub layers: usize,
}

/// An adapter of a lab.
#[derive(Debug)]
pub(super) struct Kept {
    pub adapter: Adapter,
    /// Its values when it was attached or imported, to which a reset goes back.
    pub start: Vec<Tensor>,
}

impl Lab {
    /// What [`Self::attach`] would train; changes nothing.
    ///
    /// # Errors
    /// `config`, `no-target`.
    pub fn plan(&mut self, config: &LoraConfig) -> Result<Attached> {
        let Plan { trainable, layers } = lora::plan(&mut self.model, config)?;
        Ok(Attached { trainable, total: self.base_parameters(), layers })
    }

    /// Adds an adapter and makes it the active one. A run under way goes on with its own adapter.
    ///
    /// # Errors
    /// `config`, `no-target`, `adapter-exists`, `merged`, and `unsupported` in full fine-tuning.
    pub fn attach(&mut self, name: &str, config: &LoraConfig) -> Result<Attached> {
        self.not_full("attaching an adapter")?;
        self.not_merged("attaching an adapter")?;
        let attached = self.plan(config)?;
        let adapter = lora::attach(&mut self.model, name, config, &mut Rng::new(config.seed))?;
        self.adopt(name, adapter)?;
        Ok(attached)
    }

    /// Adds an adapter from PEFT's two files and makes it the active one. A run under way goes on with its own adapter.
    ///
    /// # Errors
    /// What [`lora::import_peft`] and [`Self::attach`] refuse.
    pub fn import_adapter(&mut self, name: &str, safetensors: &[u8], config: &str) -> Result<Attached> {
        self.not_full("importing an adapter")?;
        self.not_merged("importing an adapter")?;
        let adapter = lora::import_peft(&mut self.model, name, safetensors, config)?;
        let attached = self.plan(adapter.config())?;
        self.adopt(name, adapter)?;
        Ok(attached)
    }

    /// Keeps an adapter that is in the model already, its values being its start, and makes it the active one.
    fn adopt(&mut self, name: &str, adapter: Adapter) -> Result<()> {
        let start = adapter.snapshot()?;
        self.keep(name, Kept { adapter, start });
        self.active = Some(name.into());
        Ok(())
    }

    /// Keeps an adapter that is in the model already. It acts when a request means it.
    pub(super) fn keep(&mut self, name: &str, kept: Kept) {
        kept.adapter.switch().set_active(false);
        self.adapters.insert(name.into(), kept);
    }

    /// The files of an adapter, by default the active one.
    ///
    /// # Errors
    /// `no-adapter`.
    pub fn export_adapter(&mut self, name: Option<&str>) -> Result<(Vec<u8>, String)> {
        let available: Vec<String> = self.layers()?.into_iter().map(|layer| layer.name).collect();
        let adapter = self.named(&self.chosen(name, "exporting")?)?;
        Ok((adapter.to_safetensors()?, adapter.to_config_json(&available)?))
    }

    /// All adapters.
    pub fn adapters(&self) -> Vec<AdapterInfo> {
        let info = |(name, Kept { adapter, .. }): (&String, &Kept)| AdapterInfo {
            name: name.clone(),
            active: self.active.as_ref() == Some(name),
            training: self.run_of(name).is_some(),
            trainable: adapter.parameters(),
            bytes: 4 * adapter.parameters(),
            rank: adapter.config().rank,
            alpha: adapter.config().alpha,
            layers: adapter.layers().len(),
        };
        self.adapters.iter().map(info).collect()
    }

    /// Makes an adapter the active one: the one that a request means which names none.
    ///
    /// # Errors
    /// `no-adapter`, `merged`.
    pub fn select(&mut self, name: &str) -> Result<()> {
        self.not_merged("selecting an adapter")?;
        self.named(name)?;
        self.active = Some(name.into());
        Ok(())
    }

    /// Switches the active adapter on or off, for requests that name none.
    ///
    /// # Errors
    /// `merged`.
    pub fn set_enabled(&mut self, enabled: bool) -> Result<()> {
        self.not_merged("switching the adapter")?;
        self.enabled = enabled;
        Ok(())
    }

    /// The factor on the scaling of whichever adapter acts: 0 is the base, 1 what was trained.
    ///
    /// # Errors
    /// `config` if it is not finite, `merged`.
    pub fn set_strength(&mut self, strength: f64) -> Result<()> {
        if !(strength as f32).is_finite() {
            return Err(Error::config("strength", "a finite number", strength));
        }
        self.not_merged("changing the strength")?;
        self.strength = strength as f32;
        Ok(())
    }

    /// Renames an adapter. A run of it, a generation with it, and whatever else means it, go on.
    ///
    /// # Errors
    /// `no-adapter`, `adapter-exists`.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        self.named(from)?;
        if self.adapters.contains_key(to) {
            return Err(Error::AdapterExists { name: to.into() });
        }
        lora::rename(&mut self.model, from, to)?;
        if let Some(kept) = self.adapters.remove(from) {
            self.adapters.insert(to.into(), kept);
        }
        let run = self.run.as_mut().and_then(|run| run.adapter.as_mut());
        let generation = self.generation.as_mut().and_then(|generation| generation.speaker.as_mut());
        let names = [self.active.as_mut(), self.merged.as_mut(), run, generation];
        for name in names.into_iter().flatten().filter(|name| *name == from) {
            *name = to.into();
        }
        Ok(())
    }

    /// Removes an adapter, and a run of it that has ended. If it was the active one, none is.
    ///
    /// # Errors
    /// `no-adapter`, `merged`, and `in-use` while a run of it is under way.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.not_merged("removing an adapter")?;
        self.named(name)?;
        if self.run_of(name).is_some_and(|run| !run.trainer.is_done()) {
            return Err(Error::InUse { name: name.into() });
        }
        lora::remove(&mut self.model, name)?;
        self.forget(name);
        Ok(())
    }

    /// Lets go of an adapter that is no longer in the model, and of all that meant it.
    pub(super) fn forget(&mut self, name: &str) {
        if self.run_of(name).is_some() {
            self.run = None;
        }
        self.silence(name);
        if self.active.as_deref() == Some(name) {
            self.active = None;
        }
        self.adapters.remove(name);
    }

    /// Breaks off a generation with this adapter, whose values are about to change at once.
    fn silence(&mut self, name: &str) {
        if self.generation.as_ref().is_some_and(|generation| generation.speaker.as_deref() == Some(name)) {
            self.generation = None;
        }
    }

    /// An adapter, by default the active one, back to the values it was attached or imported with. A run of it ends.
    ///
    /// # Errors
    /// `no-adapter`, `order` if none is named and none is active, `merged`, and `unsupported` in full fine-tuning: no copy of the first weights is
    /// kept.
    pub fn reset(&mut self, adapter: Option<&str>) -> Result<()> {
        self.not_full("resetting the adapter")?;
        self.not_merged("resetting the adapter")?;
        let name = self.chosen(adapter, "resetting")?;
        if let Some(Kept { adapter, start }) = self.adapters.get(&name) {
            adapter.restore(start)?;
        }
        if self.run_of(&name).is_some() {
            self.run = None;
        }
        self.silence(&name);
        Ok(())
    }

    /// Adds an adapter, by default the active one, to the weights.
    ///
    /// # Errors
    /// `no-adapter`, `order` if none is named and the active one is missing or switched off, `merged` if one is merged already.
    pub fn merge(&mut self, adapter: Option<&str>) -> Result<()> {
        self.not_merged("merging")?;
        let name = self.chosen(adapter, "merging")?;
        if adapter.is_none() && !self.enabled {
            return Err(Error::Order { what: "merging", needs: "switching the adapter on" });
        }
        self.origin()?;
        let switch = self.named(&name)?.switch();
        switch.set_strength(self.strength);
        switch.set_active(true);
        let merged = lora::merge(&mut self.model);
        self.named(&name)?.switch().set_active(false);
        merged?;
        (self.merged, self.generation) = (Some(name), None);
        Ok(())
    }

    /// Back to base and adapter, the base bit for bit.
    ///
    /// # Errors
    /// `order` if nothing is merged.
    pub fn unmerge(&mut self) -> Result<()> {
        if self.merged.is_none() {
            return Err(Error::Order { what: "unmerging", needs: "merging" });
        }
        lora::unmerge(&mut self.model)?;
        (self.merged, self.generation) = (None, None);
        Ok(())
    }

    /// Whether an adapter is merged.
    pub fn is_merged(&self) -> bool {
        self.merged.is_some()
    }

    pub(super) fn named(&self, name: &str) -> Result<&Adapter> {
        let attached = || match self.adapters.is_empty() {
            true => "none".to_owned(),
            false => self.adapters.keys().cloned().collect::<Vec<_>>().join(", "),
        };
        let kept = self.adapters.get(name);
        kept.map(|kept| &kept.adapter).ok_or_else(|| Error::NoAdapter { name: name.into(), attached: attached() })
    }

    /// The name that a request gave, which has to be an adapter's, or else the active adapter's.
    pub(super) fn chosen(&self, name: Option<&str>, what: &'static str) -> Result<String> {
        match (name, &self.active) {
            (Some(name), _) => self.named(name).map(|_| name.to_owned()),
            (None, Some(active)) => Ok(active.clone()),
            (None, None) => Err(Error::Order { what, needs: "an attached adapter" }),
        }
    }

    pub(super) fn not_merged(&self, what: &'static str) -> Result<()> {
        if self.merged.is_some() { Err(Error::Merged { what }) } else { Ok(()) }
    }
}
