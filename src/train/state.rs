//! A run as bytes: values, optimizer state, settings and text, in one safetensors file.
//!
//! Everything random is keyed by seed and step, so the step is all that has to be kept of it.

use super::config::TrainConfig;
use super::data::TokenData;
use super::trainer::Trainer;
use crate::checkpoint::safetensors::{self, TensorFile};
use crate::error::{Error, Result};
use crate::model::CausalLm;
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const WHAT: &str = "the saved state";
const KEY: &str = "lora_lab_state";
const START: &str = "start";

/// What is not a tensor.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    config: TrainConfig,
    step: usize,
    held_out_from: usize,
    /// Base digest and adapter settings, which the caller checks.
    context: serde_json::Value,
}

/// The header of a saved run, before its variables are known.
pub struct SavedRun {
    header: Header,
    file: TensorFile,
}

impl Trainer {
    /// The run as bytes. `context` is kept with it for whoever resumes, and so is `start`, the values that what trains began with.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn save(&self, context: serde_json::Value, start: Option<Tensor>) -> Result<Vec<u8>> {
        let header = Header {
            version: 2,
            config: self.config.clone(),
            step: self.steps_done(),
            held_out_from: self.data.train().len(),
            context,
        };
        let header = serde_json::to_string(&header).map_err(|e| Error::format(WHAT, e))?;
        let ([m, v], _) = self.optimizer.state();
        let flat = |values: &[f32]| Tensor::from_slice(values, values.len(), &Device::Cpu);
        // A token id is below 2²⁴, so an f32 holds it exactly.
        let ids: Vec<f32> = self.data.ids().iter().map(|&id| id as f32).collect();
        let mut tensors = BTreeMap::from([
            ("values".to_owned(), flat(&self.optimizer.values()?)?),
            ("moment1".to_owned(), flat(m)?),
            ("moment2".to_owned(), flat(v)?),
            ("ids".to_owned(), flat(&ids)?),
        ]);
        tensors.extend(start.map(|start| (START.to_owned(), start)));
        safetensors::write(&tensors, &[(KEY, header)])
    }
}

impl SavedRun {
    /// Reads and checks what [`Trainer::save`] wrote.
    ///
    /// # Errors
    /// `format` and what [`TensorFile::read`] refuses.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let file = TensorFile::read(bytes, WHAT)?;
        let header = file.metadata(KEY).ok_or_else(|| Error::format(WHAT, format!("it has no {KEY}")))?;
        let header: Header = serde_json::from_str(header).map_err(|e| Error::format(WHAT, e))?;
        if header.step > 1_000_000 {
            return Err(Error::format(WHAT, format!("step {}, expected at most 1000000", header.step)));
        }
        if header.version != 2 {
            return Err(Error::format(WHAT, format!("version {}, expected 2", header.version)));
        }
        Ok(Self { header, file })
    }

    /// What was kept with it.
    pub fn context(&self) -> &serde_json::Value {
        &self.header.context
    }

    /// The settings of the run.
    pub fn config(&self) -> &TrainConfig {
        &self.header.config
    }

    /// The values, `count` of them, that what trains began with.
    ///
    /// # Errors
    /// `missing-tensor`, `shape`.
    pub fn take_start(&mut self, count: usize) -> Result<Tensor> {
        self.file.take(START, &[count])
    }

    /// Goes on: a trainer of `vars` as it was when it was saved, and the values it had.
    ///
    /// # Errors
    /// `shape` if the variables are others; nothing is written then. The values are written by the
    /// caller's [`super::AdamW::set_values`], when all else is done.
    pub fn resume(mut self, vars: Vec<Var>, model: &dyn CausalLm) -> Result<(Trainer, Vec<f32>)> {
        let count = vars.iter().map(|var| var.elem_count()).sum();
        let mut take = |name: &str, length: usize| Ok::<_, Error>(self.file.take(name, &[length])?.to_vec1::<f32>()?);
        let (values, m, v) = (take("values", count)?, take("moment1", count)?, take("moment2", count)?);
        let length = self.file.get("ids").map_or(0, Tensor::elem_count);
        let ids = self.file.take("ids", &[length])?.to_vec1::<f32>()?;
        self.file.finish()?;
        if v.iter().any(|&x| x < 0.) {
            return Err(Error::format(WHAT, "a second moment is negative"));
        }
        let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
        let Header { config, step, held_out_from, .. } = self.header;
        config.check()?;
        let data = TokenData::split(ids, held_out_from, config.block_size, model.vocabulary())?;
        let mut trainer = Trainer::with_data(vars, data, config, model)?;
        trainer.optimizer.set_state([m, v], step)?;
        Ok((trainer, values))
    }
}
