//! The settings of a run, checked by name.

use super::optimizer::AdamWConfig;
use super::schedule::Schedule;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Optimizer steps of the whole run, over which the schedule extends.
    pub steps: usize,
    /// Sequences in one gradient.
    pub batch_size: usize,
    /// Gradients summed into one step.
    pub accumulation: usize,
    /// Tokens in a sequence.
    pub block_size: usize,
    pub learning_rate: f64,
    /// The least learning rate of the cosine, as a share of `learning_rate`.
    pub min_learning_rate_ratio: f64,
    pub schedule: Schedule,
    pub warmup_steps: usize,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    /// Largest norm of the gradient; 0 leaves it alone.
    pub gradient_clip: f64,
    /// Share of the text held out.
    pub held_out: f64,
    /// Steps between held-out losses; 0 for none.
    pub evaluate_every: usize,
    /// Number of windows that the held-out loss is the mean of.
    pub evaluation_windows: usize,
    /// Dropout inside the model, for full training.
    pub model_dropout: f32,
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        let AdamWConfig { beta1, beta2, epsilon, weight_decay } = AdamWConfig::default();
        Self {
            steps: 200,
            batch_size: 4,
            accumulation: 1,
            block_size: 128,
            learning_rate: 2e-3,
            min_learning_rate_ratio: 0.1,
            schedule: Schedule::Cosine,
            warmup_steps: 10,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            gradient_clip: 1.,
            held_out: 0.1,
            evaluate_every: 20,
            evaluation_windows: 8,
            model_dropout: 0.,
            seed: 0,
        }
    }
}

impl TrainConfig {
    /// # Errors
    /// `config`, naming the setting.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("steps", self.steps, 1_000_000),
            ("batchSize", self.batch_size, 1_024),
            ("accumulation", self.accumulation, 1_024),
            ("blockSize", self.block_size, 65_536),
        ];
        for (name, value, most) in counts {
            if !(1..=most).contains(&value) {
                return Err(Error::config(name, format!("1 to {most}"), value));
            }
        }
        let amounts = [("learningRate", self.learning_rate), ("gradientClip", self.gradient_clip)];
        for (name, value) in amounts {
            if !(value.is_finite() && value >= 0.) {
                return Err(Error::config(name, "a finite number of 0 or more", value));
            }
        }
        let shares = [
            ("minLearningRateRatio", self.min_learning_rate_ratio, 1.),
            ("modelDropout", self.model_dropout.into(), 0.99),
        ];
        for (name, value, most) in shares {
            if !(0. ..=most).contains(&value) {
                return Err(Error::config(name, format!("0 to {most}"), value));
            }
        }
        self.optimizer().check()
    }

    pub(super) fn optimizer(&self) -> AdamWConfig {
        let Self { beta1, beta2, epsilon, weight_decay, .. } = *self;
        AdamWConfig { beta1, beta2, epsilon, weight_decay }
    }

    /// Sequences of one optimizer step.
    pub fn sequences(&self) -> usize {
        self.batch_size * self.accumulation
    }
}
