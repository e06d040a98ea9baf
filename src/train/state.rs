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
/// The values that what trains began with.
const START: &str = "start";
/// The text, as token ids.
const IDS: &str = "ids";
const VERSION: u32 = 2;

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

/// A saved run whose variables do not exist yet.
pub struct SavedRun {
    header: Header,
    file: TensorFile,
    ids: Vec<u32>,
}

impl Trainer {
    /// The run as bytes. `context` is saved with it, for the caller that resumes, and so is `start`, the values that what trains began with.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn save(&self, context: serde_json::Value, start: Option<Tensor>) -> Result<Vec<u8>> {
        let header = Header {
            version: VERSION,
            config: self.config.clone(),
            step: self.steps_done(),
            held_out_from: self.data.train().len(),
            context,
        };
        let header = serde_json::to_string(&header).map_err(|e| Error::format(WHAT, e))?;
        let ([m, v], _) = self.optimizer.state();
        let flat = |values: &[f32]| Tensor::from_slice(values, values.len(), &Device::Cpu);
        let mut tensors = BTreeMap::from([
            ("values".to_owned(), flat(&self.optimizer.values()?)?),
            ("moment1".to_owned(), flat(m)?),
            ("moment2".to_owned(), flat(v)?),
        ]);
        tensors.extend(start.map(|start| (START.to_owned(), start)));
        safetensors::write_with_integers(&tensors, (IDS, self.data.ids()), &[(KEY, header)])
    }
}

impl SavedRun {
    /// Reads and checks what [`Trainer::save`] wrote.
    ///
    /// # Errors
    /// `format` and what [`TensorFile::read_with_integers`] refuses.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let header = TensorFile::read_without(bytes, WHAT, |_| true)?;
        let header = header.metadata(KEY).ok_or_else(|| Error::format(WHAT, format!("it has no {KEY}")))?;
        let header: Header = serde_json::from_str(header).map_err(|e| Error::format(WHAT, e))?;
        if header.step > 1_000_000 {
            return Err(Error::format(WHAT, format!("step {}, expected at most 1000000", header.step)));
        }
        if header.version != VERSION {
            return Err(Error::format(WHAT, format!("version {}, expected {VERSION}", header.version)));
        }
        let mut file = TensorFile::read_with_integers(bytes, WHAT, IDS)?;
        let ids = file.take_integers(IDS)?;
        Ok(Self { header, file, ids })
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
        self.file.finish()?;
        if v.iter().any(|&x| x < 0.) {
            return Err(Error::format(WHAT, "a second moment is negative"));
        }
        let Header { config, step, held_out_from, .. } = self.header;
        config.check()?;
        let data = TokenData::split(self.ids, held_out_from, config.block_size, model.vocabulary())?;
        let mut trainer = Trainer::with_data(vars, data, config, model)?;
        trainer.optimizer.set_state([m, v], step)?;
        Ok((trainer, values))
    }
}
