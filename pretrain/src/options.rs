//! The command line. The defaults are the recipe of `www/models/tiny`.

use crate::Result;
use std::path::PathBuf;

const USAGE: &str = "usage: cargo xtask pretrain --corpus FILE [--out DIR] [--from FILE] [--resume STATE] [--steps N] [--cooldown SHARE] [--batch N] \
[--width N] [--heads N] [--blocks N] [--rate R] [--weight-decay R] [--dropout P] [--aligned SHARE] [--average R] [--seed N]";

pub struct Options {
    pub corpus: PathBuf,
    pub out: PathBuf,
    /// Weights to start from instead of random ones: another run's `model.safetensors` of the same shape.
    pub from: Option<PathBuf>,
    /// The file `state.safetensors` of an earlier run, to go on with it.
    pub resume: Option<PathBuf>,
    pub steps: usize,
    /// Share of the steps at the end in which the learning rate falls to 0, along a line.
    pub cooldown: f64,
    /// Sequences a step.
    pub batch: usize,
    pub width: usize,
    pub heads: usize,
    pub blocks: usize,
    pub rate: f64,
    pub weight_decay: f64,
    pub dropout: f32,
    /// Share of the windows that begin where a story does.
    pub aligned: f32,
    /// How much of the moving average of the weights stays in a step.
    pub average: f64,
    pub seed: u64,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            corpus: PathBuf::new(),
            out: "www/models/tiny".into(),
            from: None,
            resume: None,
            steps: 4000,
            cooldown: 0.85,
            batch: 16,
            width: 192,
            heads: 6,
            blocks: 4,
            rate: 4e-3,
            weight_decay: 0.5,
            dropout: 0.2,
            aligned: 0.5,
            average: 0.99,
            seed: 1,
        };
        while let Some(name) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            match name.as_str() {
                "--corpus" => options.corpus = value.into(),
                "--out" => options.out = value.into(),
                "--from" => options.from = Some(value.into()),
                "--resume" => options.resume = Some(value.into()),
                "--steps" => options.steps = value.parse()?,
                "--cooldown" => options.cooldown = value.parse()?,
                "--batch" => options.batch = value.parse()?,
                "--width" => options.width = value.parse()?,
                "--heads" => options.heads = value.parse()?,
                "--blocks" => options.blocks = value.parse()?,
                "--rate" => options.rate = value.parse()?,
                "--weight-decay" => options.weight_decay = value.parse()?,
                "--dropout" => options.dropout = value.parse()?,
                "--aligned" => options.aligned = value.parse()?,
                "--average" => options.average = value.parse()?,
                "--seed" => options.seed = value.parse()?,
                _ => return Err(USAGE.into()),
            }
        }
        if options.corpus.as_os_str().is_empty() || options.steps == 0 || options.batch == 0 {
            return Err(USAGE.into());
        }
        Ok(options)
    }

    /// The learning rate of the step after `step` others.
    pub fn rate(&self, step: usize) -> f64 {
        let warmup = (step + 1) as f64 / 100.;
        let left = (self.steps.saturating_sub(step)) as f64 / (self.steps as f64 * self.cooldown).max(1.);
        self.rate * warmup.min(left).min(1.)
    }
}
