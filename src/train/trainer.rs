//! One optimizer step.
//!
//! A step runs its sequences one by one, each forward and backward, and sums their gradients in
//! order. That keeps the activations of one sequence in memory instead of a batch's, and makes the
//! result independent of how the sequences are spread over workers.

use super::config::TrainConfig;
use super::data::TokenData;
use super::gradients::{GradientSum, Gradients};
use super::optimizer::{AdamW, Snapshot};
pub use super::window::mean_loss;
use super::window::{gradients, targets, window_loss};
use crate::error::{Error, Result};
use crate::kernel;
use crate::model::CausalLm;
use crate::nn::{BlockInput, Pass};
use crate::rng::Rng;
use candle_core::Var;
use serde::Serialize;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

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

/// A training run of some variables of a model. The model is passed to each call, because generation needs it between
/// the steps.
#[derive(Debug)]
pub struct Trainer {
    pub(super) config: TrainConfig,
    pub(super) data: TokenData,
    pub(super) optimizer: AdamW,
    /// The last state whose loss is known to be finite: the one before the latest update. Its buffers are used again in
    /// each step.
    proven: Option<Snapshot>,
    /// One for each held-out window. The same windows are evaluated again and again, so that the blocks below all
    /// adapters are computed once for each of them.
    block_inputs: Mutex<Vec<Option<BlockInput>>>,
}

impl Trainer {
    /// A run over `ids` that updates `vars` and nothing else.
    ///
    /// # Errors
    /// `config`, also if a sequence is longer than the context; `too-short`, `token`.
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
            let expected = format!("at most {}, the model's context", model.context());
            return Err(Error::config("blockSize", expected, config.block_size));
        }
        let optimizer = AdamW::new(vars, config.optimizer())?;
        Ok(Self { config, data, optimizer, proven: None, block_inputs: Mutex::default() })
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
    /// `diverged` if the loss, its gradient or a parameter is no longer finite: the values of the last step whose loss
    /// was finite are then restored. And those of [`Self::gradients`].
    pub fn step(&mut self, model: &dyn CausalLm) -> Result<Step> {
        let mut sum = self.gradient_sum();
        self.add_gradients(model, 0..self.config.sequences(), &mut sum)?;
        let step = self.update(sum)?;
        self.evaluated(model, step)
    }

    /// A sum of gradients with nothing in it yet.
    pub fn gradient_sum(&self) -> GradientSum {
        GradientSum::new(self.optimizer.parameters())
    }

    /// Adds the gradients of some of the next step's sequences one by one, so that only one is in memory.
    ///
    /// # Errors
    /// See [`Self::gradients`].
    pub fn add_gradients(&self, model: &dyn CausalLm, sequences: Range<usize>, sum: &mut GradientSum) -> Result<()> {
        for sequence in sequences {
            for part in self.gradients(model, sequence..sequence + 1)? {
                sum.add(part.loss, &part.values)?;
            }
        }
        Ok(())
    }

    /// The gradients of some of the next step's sequences, one each.
    ///
    /// # Errors
    /// `no-gradient` if the model's loss does not depend on all that is to train; `tensor`, on a defect of ours.
    pub fn gradients(&self, model: &dyn CausalLm, sequences: Range<usize>) -> Result<Vec<Gradients>> {
        let Self { config, data, .. } = self;
        let step = self.steps_done();
        let tokens = config.sequences() * config.block_size;
        let one = |sequence: usize| {
            let window = data.window(config.block_size, config.seed, step, sequence);
            // The last part of the key makes this another stream than the window's.
            let dropout_key = Rng::keyed(config.seed, &[step as u64, sequence as u64, 1]).next_u64();
            self.gradients_of(model, window, tokens, Some(dropout_key))
        };
        sequences.map(one).collect()
    }

    /// Loss and gradients of one window: `window[..n−1]` are the inputs, `window[1..]` the targets,
    /// and `tokens` the number of targets of the whole step.
    ///
    /// # Errors
    /// See [`gradients`].
    pub fn gradients_of(
        &self,
        model: &dyn CausalLm,
        window: &[u32],
        tokens: usize,
        dropout_key: Option<u64>,
    ) -> Result<Gradients> {
        let mut pass = Pass { dropout_key, model_dropout: self.config.model_dropout, ..Pass::default() };
        gradients(model, self.optimizer.vars(), window, tokens, &mut pass)
    }

    /// Sums gradients in the order given, clips the sum, and updates the variables.
    ///
    /// # Errors
    /// See [`Self::step`].
    pub fn apply(&mut self, model: &dyn CausalLm, gradients: &[Gradients]) -> Result<Step> {
        let mut sum = self.gradient_sum();
        gradients.iter().try_for_each(|part| sum.add(part.loss, &part.values))?;
        let step = self.update(sum)?;
        self.evaluated(model, step)
    }

    /// Updates the variables by the sum of a step's gradients; a held-out loss is left to [`Self::evaluated`].
    ///
    /// # Errors
    /// `config` if it is not the sum of all sequences of a step of this run; see also [`Self::step`].
    pub fn update(&mut self, GradientSum { loss, values: sum, sequences }: GradientSum) -> Result<Step> {
        if (sequences, sum.len()) != (self.config.sequences(), self.optimizer.parameters()) {
            let of = |sequences, numbers| format!("those of {sequences} sequences, {numbers} numbers each");
            let expected = of(self.config.sequences(), self.optimizer.parameters());
            return Err(Error::config("gradients", expected, of(sequences, sum.len())));
        }
        let step = self.steps_done() + 1;
        if !loss.is_finite() {
            return Err(self.diverged(step, format!("the loss became {loss}"))?);
        }
        let grad_norm = kernel::sum_of_squares(&sum).sqrt();
        if !grad_norm.is_finite() {
            return Err(
                self.diverged(step, format!("the norm of the gradient became {grad_norm}, at a loss of {loss},"))?
            );
        }
        let learning_rate = self.learning_rate();
        let mut proven = self.proven.take().unwrap_or_default();
        self.optimizer.remember(&mut proven)?;
        let finite = self.optimizer.update(&sum, self.clip(grad_norm), learning_rate)?;
        self.proven = Some(proven);
        if !finite {
            let what = format!("the update made a parameter infinite or NaN, after a loss of {loss},");
            return Err(self.diverged(step, what)?);
        }
        Ok(Step {
            step,
            loss,
            held_out_loss: None,
            learning_rate,
            grad_norm,
            tokens: self.config.sequences() * self.config.block_size,
            done: self.is_done(),
        })
    }

    /// The step with its held-out loss, where one is due.
    fn evaluated(&self, model: &dyn CausalLm, step: Step) -> Result<Step> {
        if !self.is_evaluated(step.step) {
            return Ok(step);
        }
        let losses = self.held_out_losses(model, 0..self.held_out_windows().len())?;
        Ok(Step { held_out_loss: (!losses.is_empty()).then(|| losses.iter().sum()), ..step })
    }

    /// Whether a held-out loss is due after step `step`, counted from 1.
    pub fn is_evaluated(&self, step: usize) -> bool {
        let TrainConfig { evaluate_every: every, steps, .. } = self.config;
        every > 0 && (step.is_multiple_of(every) || step == steps)
    }

    /// Takes over step and values of another worker's run: all that gradients depend on. The moments are left as they
    /// are.
    ///
    /// # Errors
    /// `config` if the values are not as many as the run has parameters.
    pub fn follow(&mut self, step: usize, values: &[f32]) -> Result<()> {
        let parameters = self.optimizer.parameters();
        if values.len() != parameters {
            return Err(Error::config("values", format!("{parameters} numbers"), values.len()));
        }
        self.optimizer.set_values(values)?;
        self.optimizer.step = step;
        Ok(())
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

    /// Restores the last state whose loss was finite; `what` happened in `step`, counted from 1.
    fn diverged(&mut self, step: usize, what: String) -> Result<Error> {
        if let Some(proven) = self.proven.take() {
            self.optimizer.go_back(proven)?;
        }
        Ok(Error::Diverged { what, step, kept: self.steps_done() })
    }

    /// Mean loss of the held-out part in nats a token; `None` if nothing is held out.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn evaluate(&self, model: &dyn CausalLm) -> Result<Option<f64>> {
        mean_loss(model, &self.held_out_windows())
    }

    /// The windows that a held-out loss is the mean of.
    pub fn held_out_windows(&self) -> Vec<&[u32]> {
        self.data.held_out_windows(self.config.block_size, self.config.evaluation_windows)
    }

    /// What some of the held-out windows add to the mean loss; summed in their order, all of them give
    /// [`Self::evaluate`]. Unlike there, nothing of the model but the variables may have changed since the last call:
    /// what the blocks below the variables compute is kept.
    ///
    /// # Errors
    /// See [`mean_loss`]; `config` for a window that does not exist.
    pub fn held_out_losses(&self, model: &dyn CausalLm, windows: Range<usize>) -> Result<Vec<f64>> {
        let all = self.held_out_windows();
        let Some(some) = all.get(windows.clone()) else {
            return Err(Error::config("windows", format!("0 to {}", all.len()), format!("{windows:?}")));
        };
        let mut inputs = self.block_inputs.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.resize(all.len(), None);
        let tokens = targets(&all);
        let loss = |(window, input): (&&[u32], &mut _)| {
            window_loss(model, window, tokens, &mut Pass { block_input: Some(input), ..Pass::default() })
        };
        some.iter().zip(&mut inputs[windows]).map(loss).collect()
    }
}
