//! One optimizer step.
//!
//! A step runs its sequences one by one, each forward and backward, and sums their gradients in
//! order. That keeps the activations of one sequence in memory instead of a batch's, and makes the
//! result independent of how the sequences are spread over workers.

use super::data::TokenData;
use super::optimizer::{AdamW, AdamWConfig};
use super::schedule::Schedule;
use crate::error::{Error, Result};
use crate::kernel;
use crate::model::CausalLm;
use crate::nn::Pass;
use crate::ops::loss::cross_entropy;
use crate::ops::with_slice;
use crate::rng::Rng;
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Optimizer steps of the whole run: what the schedule is laid over.
    pub steps: usize,
    /// Sequences a gradient.
    pub batch_size: usize,
    /// Gradients summed into one step.
    pub accumulation: usize,
    /// Tokens a sequence.
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
    /// Windows a held-out loss is the mean of.
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

    fn optimizer(&self) -> AdamWConfig {
        let Self { beta1, beta2, epsilon, weight_decay, .. } = *self;
        AdamWConfig { beta1, beta2, epsilon, weight_decay }
    }

    /// Sequences of one optimizer step.
    pub fn sequences(&self) -> usize {
        self.batch_size * self.accumulation
    }
}

/// What one optimizer step did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// From 1.
    pub step: usize,
    /// Mean loss of the step's tokens in nats, before its update.
    pub loss: f64,
    /// Mean loss of the held-out part after the update, where one was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_loss: Option<f64>,
    pub learning_rate: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Tokens of the step.
    pub tokens: usize,
    /// Whether this was the last step of the run.
    pub done: bool,
}

/// One sequence's part of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// Summed loss of the sequence's tokens divided by the step's tokens.
    pub loss: f64,
    /// All variables one after the other, in the optimizer's order.
    pub values: Vec<f32>,
}

/// The gradients of a step so far.
struct Sum {
    loss: f64,
    values: Vec<f32>,
}

impl Sum {
    fn new(parameters: usize) -> Self {
        Self { loss: 0., values: vec![0.; parameters] }
    }

    fn add(&mut self, part: &Gradients) -> Result<()> {
        if part.values.len() != self.values.len() {
            return Err(Error::config("gradients", format!("{} numbers", self.values.len()), part.values.len()));
        }
        self.loss += part.loss;
        kernel::add_assign(&mut self.values, &part.values);
        Ok(())
    }
}

/// Values and optimizer state at some step.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    values: Vec<f32>,
    optimizer: AdamW,
}

/// A training run of some variables of a model. The model is lent to each call, because generation
/// needs it between the steps.
#[derive(Debug)]
pub struct Trainer {
    pub(super) config: TrainConfig,
    pub(super) data: TokenData,
    pub(super) optimizer: AdamW,
    /// The last state that gave a finite loss, while the next one has not proved itself.
    proven: Option<Snapshot>,
}

impl Trainer {
    /// A run over `ids` that updates `vars` and nothing else.
    ///
    /// # Errors
    /// `config`, `too-short`, `token`, and `too-long` if a sequence is longer than the context.
    pub fn new(vars: Vec<Var>, ids: Vec<u32>, config: TrainConfig, model: &dyn CausalLm) -> Result<Self> {
        config.check()?;
        let data = TokenData::new(ids, config.held_out, config.block_size, model.vocabulary())?;
        Self::with_data(vars, data, config, model)
    }

    /// The same over a text that is split already.
    ///
    /// # Errors
    /// See [`Self::new`].
    pub fn with_data(vars: Vec<Var>, data: TokenData, config: TrainConfig, model: &dyn CausalLm) -> Result<Self> {
        config.check()?;
        if config.block_size > model.context() {
            return Err(Error::TooLong { got: config.block_size, context: model.context() });
        }
        let optimizer = AdamW::new(vars, config.optimizer())?;
        Ok(Self { config, data, optimizer, proven: None })
    }

    /// The settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The text.
    pub fn data(&self) -> &TokenData {
        &self.data
    }

    /// The optimizer, which holds the only variables that change.
    pub fn optimizer(&self) -> &AdamW {
        &self.optimizer
    }

    /// Steps done.
    pub fn steps_done(&self) -> usize {
        self.optimizer.step
    }

    /// Whether all steps of the run are done.
    pub fn is_done(&self) -> bool {
        self.steps_done() >= self.config.steps
    }

    /// One optimizer step. A run may go on past its last step, at the schedule's last rate.
    ///
    /// # Errors
    /// `diverged` if the loss or a parameter is no longer finite: the values of the last step that
    /// proved good are then back in place.
    pub fn step(&mut self, model: &dyn CausalLm) -> Result<Step> {
        // Summed as they come: only one sequence's gradient is in memory.
        let mut sum = Sum::new(self.optimizer.parameters());
        for sequence in 0..self.config.sequences() {
            for part in self.gradients(model, sequence..sequence + 1)? {
                sum.add(&part)?;
            }
        }
        self.update(model, sum)
    }

    /// The gradients of some of the next step's sequences, one each.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn gradients(&self, model: &dyn CausalLm, sequences: Range<usize>) -> Result<Vec<Gradients>> {
        let Self { config, data, .. } = self;
        let step = self.steps_done();
        let tokens = config.sequences() * config.block_size;
        let one = |sequence: usize| {
            let window = data.window(config.block_size, config.seed, step, sequence);
            // Another stream than the window's: a last part sets it off.
            let dropout_key = Rng::keyed(config.seed, &[step as u64, sequence as u64, 1]).next_u64();
            self.gradients_of(model, window, tokens, Some(dropout_key))
        };
        sequences.map(one).collect()
    }

    /// Loss and gradients of one window: `window[..n−1]` are the inputs, `window[1..]` the targets,
    /// and `tokens` the number of targets of the whole step.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn gradients_of(
        &self,
        model: &dyn CausalLm,
        window: &[u32],
        tokens: usize,
        dropout_key: Option<u64>,
    ) -> Result<Gradients> {
        let mut pass = Pass { dropout_key, model_dropout: self.config.model_dropout, ..Pass::default() };
        let loss = sequence_loss(model, window, tokens, &mut pass)?;
        let store = loss.backward()?;
        let mut values = Vec::with_capacity(self.optimizer.parameters());
        for var in self.optimizer.vars() {
            match store.get(var.as_tensor()) {
                Some(gradient) => with_slice(gradient, |gradient| values.extend_from_slice(gradient))?,
                None => values.resize(values.len() + var.elem_count(), 0.),
            }
        }
        Ok(Gradients { loss: f64::from(loss.to_scalar::<f32>()?), values })
    }

    /// Sums gradients in the order given, clips the sum, and updates the variables.
    ///
    /// # Errors
    /// See [`Self::step`].
    pub fn apply(&mut self, model: &dyn CausalLm, gradients: &[Gradients]) -> Result<Step> {
        if gradients.len() != self.config.sequences() {
            return Err(Error::config(
                "gradients",
                format!("{}, one a sequence", self.config.sequences()),
                gradients.len(),
            ));
        }
        let mut sum = Sum::new(self.optimizer.parameters());
        gradients.iter().try_for_each(|part| sum.add(part))?;
        self.update(model, sum)
    }

    fn update(&mut self, model: &dyn CausalLm, Sum { loss, values: sum }: Sum) -> Result<Step> {
        let grad_norm = kernel::sum_of_squares(&sum).sqrt();
        if !loss.is_finite() || !grad_norm.is_finite() {
            return Err(self.diverged(loss)?);
        }
        let learning_rate = self.learning_rate();
        let proven = Snapshot { values: self.optimizer.values()?, optimizer: self.optimizer.clone() };
        let finite = self.optimizer.update(&sum, self.clip(grad_norm), learning_rate)?;
        self.proven = Some(proven);
        if !finite {
            return Err(self.diverged(f64::NAN)?);
        }
        let step = self.steps_done();
        let due = self.config.evaluate_every > 0
            && (step.is_multiple_of(self.config.evaluate_every) || step == self.config.steps);
        Ok(Step {
            step,
            loss,
            held_out_loss: if due { self.evaluate(model)? } else { None },
            learning_rate,
            grad_norm,
            tokens: self.config.sequences() * self.config.block_size,
            done: self.is_done(),
        })
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        let TrainConfig { steps, warmup_steps, min_learning_rate_ratio, .. } = self.config;
        let factor = self.config.schedule.factor(self.steps_done(), steps, warmup_steps, min_learning_rate_ratio);
        self.config.learning_rate * factor
    }

    /// The factor on the gradient, as in PyTorch's `clip_grad_norm_`.
    fn clip(&self, norm: f64) -> f64 {
        let most = self.config.gradient_clip;
        if most > 0. { (most / (norm + 1e-6)).min(1.) } else { 1. }
    }

    /// Goes back to the last proven state and says so.
    fn diverged(&mut self, loss: f64) -> Result<Error> {
        let step = self.steps_done() + 1;
        if let Some(proven) = self.proven.take() {
            proven.optimizer.set_values(&proven.values)?;
            self.optimizer = proven.optimizer;
        }
        Ok(Error::Diverged { step, loss, kept: self.steps_done() })
    }

    /// Mean loss of the held-out part in nats a token; `None` if nothing is held out.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn evaluate(&self, model: &dyn CausalLm) -> Result<Option<f64>> {
        let windows = self.data.held_out_windows(self.config.block_size, self.config.evaluation_windows);
        mean_loss(model, &windows)
    }
}

/// Mean loss of some windows in nats a token, each `window[1..]` given what is before it; `None` for
/// no windows.
///
/// # Errors
/// `too-long`; `tensor` for an id outside the vocabulary.
pub fn mean_loss(model: &dyn CausalLm, windows: &[&[u32]]) -> Result<Option<f64>> {
    let tokens: usize = windows.iter().map(|window| window.len().saturating_sub(1)).sum();
    let mut sum = 0.;
    for window in windows {
        sum += f64::from(sequence_loss(model, window, tokens, &mut Pass::default())?.to_scalar::<f32>()?);
    }
    Ok((tokens > 0).then_some(sum))
}

/// The summed next-token loss of a window divided by `tokens`, a scalar.
fn sequence_loss(model: &dyn CausalLm, window: &[u32], tokens: usize, pass: &mut Pass) -> Result<Tensor> {
    let (inputs, targets) = match window {
        [] | [_] => return Err(Error::TooShort { part: "a window", got: window.len(), needed: 2 }),
        [inputs @ .., _] => (inputs, &window[1..]),
    };
    let ids = Tensor::from_slice(inputs, (1, inputs.len()), &Device::Cpu)?;
    let logits = model.forward(&ids, pass)?;
    Ok(cross_entropy(&logits, targets, 1. / tokens as f32)?)
}
