//! The adapters of a lab: several names on one base, one of them active.

use super::Lab;
use crate::error::{Error, Result};
use crate::lora::replace::{Plan, PlannedLayer};
use crate::lora::{self, Adapter, LoraConfig, peft};
use crate::model::Qkv;
use crate::rng::Rng;
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
    pub trainable: usize,
    /// Of its values in memory, and of its file but for the header.
    pub bytes: usize,
    pub rank: usize,
    pub alpha: f64,
    pub layers: usize,
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

    /// Adds an adapter and makes it the active one.
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

    /// Adds an adapter from PEFT's two files and makes it the active one.
    ///
    /// # Errors
    /// What [`peft::read_config`] and [`Adapter::load_safetensors`] refuse, and [`Self::attach`].
    pub fn import_adapter(&mut self, name: &str, safetensors: &[u8], config: &str) -> Result<Attached> {
        self.not_full("importing an adapter")?;
        self.not_merged("importing an adapter")?;
        if self.qkv == Qkv::Split {
            let detail = "import it into a model with the fused c_attn, as the file has it".to_owned();
            return Err(Error::Unsupported { what: "importing into separate q, k and v", detail });
        }
        let config = peft::read_config(config)?;
        let attached = self.plan(&config)?;
        let adapter = lora::attach(&mut self.model, name, &config, &mut Rng::new(0))?;
        if let Err(error) = adapter.load_safetensors(safetensors) {
            lora::remove(&mut self.model, name)?;
            return Err(error);
        }
        self.adopt(name, adapter)?;
        Ok(attached)
    }

    pub(super) fn adopt(&mut self, name: &str, adapter: Adapter) -> Result<()> {
        self.starts.insert(name.into(), adapter.snapshot()?);
        self.adapters.insert(name.into(), adapter);
        self.trainer = None;
        self.select(name)
    }

    /// The files of an adapter, by default the active one.
    ///
    /// # Errors
    /// `no-adapter`.
    pub fn export_adapter(&mut self, name: Option<&str>) -> Result<(Vec<u8>, String)> {
        let available: Vec<String> = self.layers()?.into_iter().map(|layer| layer.name).collect();
        let adapter = match name {
            Some(name) => self.named(name)?,
            None => self.active_adapter("exporting")?,
        };
        Ok((adapter.to_safetensors()?, adapter.to_config_json(&available)?))
    }

    /// All adapters.
    pub fn adapters(&self) -> Vec<AdapterInfo> {
        let info = |(name, adapter): (&String, &Adapter)| AdapterInfo {
            name: name.clone(),
            active: self.active.as_ref() == Some(name),
            trainable: adapter.parameters(),
            bytes: 4 * adapter.parameters(),
            rank: adapter.config().rank,
            alpha: adapter.config().alpha,
            layers: adapter.layers().len(),
        };
        self.adapters.iter().map(info).collect()
    }

    /// Makes an adapter the active one. A run of another one ends.
    ///
    /// # Errors
    /// `no-adapter`, `merged`.
    pub fn select(&mut self, name: &str) -> Result<()> {
        self.not_merged("selecting an adapter")?;
        self.named(name)?;
        if self.active.as_deref() != Some(name) {
            (self.trainer, self.generation) = (None, None);
        }
        self.active = Some(name.into());
        self.switch();
        Ok(())
    }

    /// Switches the active adapter on or off.
    ///
    /// # Errors
    /// `merged`.
    pub fn set_enabled(&mut self, enabled: bool) -> Result<()> {
        self.not_merged("switching the adapter")?;
        self.enabled = enabled;
        self.switch();
        Ok(())
    }

    /// The factor on the scaling: 0 is the base, 1 what was trained.
    ///
    /// # Errors
    /// `config` if it is not finite.
    pub fn set_strength(&mut self, strength: f64) -> Result<()> {
        if !(strength as f32).is_finite() {
            return Err(Error::config("strength", "a finite number", strength));
        }
        self.not_merged("changing the strength")?;
        self.strength = strength as f32;
        self.switch();
        Ok(())
    }

    /// Renames an adapter.
    ///
    /// # Errors
    /// `no-adapter`, `adapter-exists`.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        self.named(from)?;
        if self.adapters.contains_key(to) {
            return Err(Error::AdapterExists { name: to.into() });
        }
        lora::rename(&mut self.model, from, to)?;
        if let Some(adapter) = self.adapters.remove(from) {
            self.adapters.insert(to.into(), adapter);
        }
        if let Some(start) = self.starts.remove(from) {
            self.starts.insert(to.into(), start);
        }
        if self.active.as_deref() == Some(from) {
            self.active = Some(to.into());
        }
        Ok(())
    }

    /// Removes an adapter. If it was the active one, none is.
    ///
    /// # Errors
    /// `no-adapter`, `merged`.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.not_merged("removing an adapter")?;
        self.named(name)?;
        lora::remove(&mut self.model, name)?;
        self.adapters.remove(name);
        self.starts.remove(name);
        if self.active.as_deref() == Some(name) {
            (self.active, self.trainer, self.generation) = (None, None, None);
        }
        Ok(())
    }

    /// The active adapter back to the values it was attached or imported with. Its run ends.
    ///
    /// # Errors
    /// `order` without an active adapter, `merged`, and `unsupported` in full fine-tuning: no copy of the first weights is kept.
    pub fn reset(&mut self) -> Result<()> {
        self.not_full("resetting the adapter")?;
        self.not_merged("resetting the adapter")?;
        let adapter = self.active_adapter("resetting")?;
        let name = self.active.as_deref().unwrap_or_default();
        adapter.restore(self.starts.get(name).map_or(&[], Vec::as_slice))?;
        (self.trainer, self.generation) = (None, None);
        Ok(())
    }

    /// Adds the active adapter to the weights.
    ///
    /// # Errors
    /// `order` without an active adapter, `merged` if it is done already.
    pub fn merge(&mut self) -> Result<()> {
        self.not_merged("merging")?;
        self.active_adapter("merging")?;
        if !self.enabled {
            return Err(Error::Order { what: "merging", needs: "switching the adapter on" });
        }
        self.origin()?;
        lora::merge(&mut self.model)?;
        (self.merged, self.generation) = (true, None);
        Ok(())
    }

    /// Back to base and adapter, the base bit for bit.
    ///
    /// # Errors
    /// `order` if nothing is merged.
    pub fn unmerge(&mut self) -> Result<()> {
        if !self.merged {
            return Err(Error::Order { what: "unmerging", needs: "merging" });
        }
        lora::unmerge(&mut self.model)?;
        (self.merged, self.generation) = (false, None);
        Ok(())
    }

    /// Whether the adapter is merged.
    pub fn is_merged(&self) -> bool {
        self.merged
    }

    /// Tells every adapter whether it acts.
    pub(super) fn switch(&self) {
        for (name, adapter) in &self.adapters {
            adapter.switch().set_active(self.enabled && self.active.as_ref() == Some(name));
            adapter.switch().set_strength(self.strength);
        }
    }

    /// Lends the lab to `f` with every adapter off.
    pub(super) fn without_adapter<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
        self.adapters.values().for_each(|adapter| adapter.switch().set_active(false));
        let result = f(self);
        self.switch();
        result
    }

    pub(super) fn named(&self, name: &str) -> Result<&Adapter> {
        let attached = || match self.adapters.is_empty() {
            true => "none".to_owned(),
            false => self.adapters.keys().cloned().collect::<Vec<_>>().join(", "),
        };
        self.adapters.get(name).ok_or_else(|| Error::NoAdapter { name: name.into(), attached: attached() })
    }

    pub(super) fn active_adapter(&self, what: &'static str) -> Result<&Adapter> {
        match &self.active {
            Some(name) => self.named(name),
            None => Err(Error::Order { what, needs: "an attached adapter" }),
        }
    }

    pub(super) fn not_merged(&self, what: &'static str) -> Result<()> {
        if self.merged { Err(Error::Merged { what }) } else { Ok(()) }
    }
}
