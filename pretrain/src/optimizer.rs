//! The update of a step: the weights in three groups, and a moving average of them all.

use crate::muon::{Matrix, Muon};
use crate::{Options, Result};
use candle_core::{Device, Tensor, Var};
use lora_lab::checkpoint::{TensorFile, safetensors};
use lora_lab::kernel::sum_of_squares;
use lora_lab::train::{AdamW, AdamWConfig, read_values, write_values};
use std::collections::BTreeMap;

/// The norm that a gradient is clipped to.
const CLIP: f64 = 1.;

pub struct Optimizer {
    vars: Vec<Var>,
    matrices: Muon,
    /// Embeddings, then norms and biases, which do not decay.
    others: [AdamW; 2],
    /// A moving average of all values: what is evaluated and shipped.
    average: Vec<f32>,
    average_decay: f64,
    pub step: usize,
}

impl Optimizer {
    pub fn new(named: Vec<(String, Var)>, options: &Options) -> Result<Self> {
        let in_block = |name: &str, var: &Var| name.contains(".h.") && var.dims().len() == 2;
        let (matrices, others): (Vec<_>, Vec<_>) = named.into_iter().partition(|(name, var)| in_block(name, var));
        let matrices: Vec<Matrix> = matrices
            .into_iter()
            .map(|(name, var)| Matrix { var, blocks: if name.ends_with("c_attn.weight") { 3 } else { 1 } })
            .collect();
        let only = |(_, var): (String, Var)| var;
        let others: Vec<Var> = others.into_iter().map(only).collect();
        let (embeddings, vectors): (Vec<Var>, Vec<Var>) = others.into_iter().partition(|var| var.dims().len() == 2);
        let vars: Vec<Var> = matrices.iter().map(|m| &m.var).chain(&embeddings).chain(&vectors).cloned().collect();
        let adamw = |weight_decay| AdamWConfig { beta2: 0.99, weight_decay, ..AdamWConfig::default() };
        let others = [AdamW::new(embeddings, adamw(options.weight_decay))?, AdamW::new(vectors, adamw(0.))?];
        let matrices = Muon::new(matrices, options.weight_decay);
        let mut optimizer =
            Self { vars, matrices, others, average: Vec::new(), average_decay: options.average, step: 0 };
        optimizer.average = optimizer.values()?;
        Ok(optimizer)
    }

    /// In the order of the gradient.
    pub fn vars(&self) -> &[Var] {
        &self.vars
    }

    fn values(&self) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        read_values(&self.vars, &mut all)?;
        Ok(all)
    }

    /// One update; says the gradient's norm.
    pub fn update(&mut self, gradient: &[f32], rate: f64) -> Result<f64> {
        let norm = sum_of_squares(gradient).sqrt();
        if !norm.is_finite() {
            return Err(format!("the gradient of step {} has the norm {norm}", self.step + 1).into());
        }
        let factor = (CLIP / (norm + 1e-6)).min(1.);
        let (of_matrices, mut rest) = gradient.split_at(self.matrices.momentum.len());
        self.matrices.update(of_matrices, factor, rate)?;
        for adamw in &mut self.others {
            let (own, more) = rest.split_at(adamw.parameters());
            adamw.update(own, factor, rate)?;
            rest = more;
        }
        self.step += 1;
        // Short at first, or the random start would stay in it for long.
        let keep = self.average_decay.min((1. + self.step as f64) / (10. + self.step as f64)) as f32;
        let values = self.values()?;
        for (average, value) in self.average.iter_mut().zip(values) {
            *average += (1. - keep) * (value - *average);
        }
        Ok(norm)
    }

    /// Runs `f` while the model has the averaged weights.
    pub fn with_average<R>(&self, f: impl FnOnce() -> Result<R>) -> Result<R> {
        let values = self.values()?;
        write_values(&self.vars, &self.average)?;
        let result = f();
        write_values(&self.vars, &values)?;
        result
    }

    /// All that a run needs to go on.
    pub fn save(&self) -> Result<Vec<u8>> {
        let mut tensors = BTreeMap::new();
        let mut put = |name: &str, values: &[f32]| {
            tensors.insert(name.to_owned(), Tensor::from_slice(values, values.len(), &Device::Cpu)?);
            Ok::<_, candle_core::Error>(())
        };
        put("values", &self.values()?)?;
        put("average", &self.average)?;
        put("momentum", &self.matrices.momentum)?;
        for (i, adamw) in self.others.iter().enumerate() {
            let ([m, v], _) = adamw.state();
            put(&format!("{i}.m"), m)?;
            put(&format!("{i}.v"), v)?;
        }
        Ok(safetensors::write(&tensors, &[("step", self.step.to_string())])?)
    }

    /// Goes on from [`Self::save`].
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let mut file = TensorFile::read(bytes, "the saved run")?;
        self.step = file.metadata("step").ok_or("the saved run has no step")?.parse()?;
        let count = self.average.len();
        let mut take =
            |name: &str, count: usize| Ok::<_, lora_lab::Error>(file.take(name, &[count])?.to_vec1::<f32>()?);
        write_values(&self.vars, &take("values", count)?)?;
        self.average = take("average", count)?;
        self.matrices.momentum = take("momentum", self.matrices.momentum.len())?;
        for (i, adamw) in self.others.iter_mut().enumerate() {
            let count = adamw.parameters();
            adamw.set_state([take(&format!("{i}.m"), count)?, take(&format!("{i}.v"), count)?], self.step)?;
        }
        Ok(())
    }
}
