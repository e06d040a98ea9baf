//! The run of a lab: it trains one adapter, by name, whatever is attached, selected or renamed meanwhile.

use super::{Input, Lab};
use crate::error::{Error, Result};
use crate::model::Gpt2;
use crate::train::{GradientSum, Gradients, Step, TrainConfig, Trainer};
use serde::Serialize;
use std::ops::Range;

/// How the text was split, in tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataInfo {
    pub tokens: usize,
    pub train_tokens: usize,
    pub held_out_tokens: usize,
}

/// Where a run stands, and how much of its next step can be spread over workers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// Which of this lab's runs it is: another one has another text, other settings or another adapter.
    pub run: usize,
    /// The adapter that it trains; absent in full fine-tuning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Steps done.
    pub step: usize,
    /// Sequences of the next step.
    pub sequences: usize,
    /// Windows of the held-out loss that is due after it; 0 if none is.
    pub held_out_windows: usize,
}

/// The memory that training takes for what it trains, beside weights and activations.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Footprint {
    /// Numbers that train.
    pub trainable: usize,
    /// A step's gradient.
    pub gradient_bytes: usize,
    /// AdamW's two moments.
    pub optimizer_bytes: usize,
}

/// A training and what it trains.
#[derive(Debug)]
pub(super) struct Run {
    /// `None` if the base's own weights train.
    pub adapter: Option<String>,
    pub trainer: Trainer,
}

impl Lab {
    /// Begins a run of an adapter, by default the active one, or of all weights in full fine-tuning, over a text. A lab has one run: an earlier
    /// one ends.
    ///
    /// # Errors
    /// `no-adapter`, `order` if none is named and none is active, `merged`, `no-tokenizer`, what [`Trainer::new`] refuses, and `unsupported` for an
    /// adapter in full fine-tuning; an earlier run can go on then.
    pub fn begin_training(&mut self, adapter: Option<&str>, text: &Input, config: TrainConfig) -> Result<DataInfo> {
        self.not_merged("training")?;
        let (adapter, vars) = match &self.full {
            Some(full) => {
                if adapter.is_some() {
                    self.not_full("training an adapter")?;
                }
                (None, full.vars.clone())
            }
            None => {
                let name = self.chosen(adapter, "training")?;
                let vars = self.named(&name)?.vars().cloned().collect();
                (Some(name), vars)
            }
        };
        let trainer = Trainer::new(vars, self.ids(text)?, config, &self.model)?;
        let data = trainer.data();
        let info = DataInfo {
            tokens: data.ids().len(),
            train_tokens: data.train().len(),
            held_out_tokens: data.held_out().len(),
        };
        self.begin(Run { adapter, trainer });
        Ok(info)
    }

    /// Puts a run in the place of the one there was.
    pub(super) fn begin(&mut self, run: Run) {
        self.run = Some(run);
        self.runs += 1;
        if let Some(full) = &mut self.full {
            full.changed = true;
        }
    }

    /// Ends the run, if there is one; its adapter stays as it is, and can be removed.
    pub fn end_training(&mut self) {
        self.run = None;
    }

    /// The run of the adapter of this name.
    pub(super) fn run_of(&self, name: &str) -> Option<&Run> {
        self.run.as_ref().filter(|run| run.adapter.as_deref() == Some(name))
    }

    fn running(&self, what: &'static str) -> Result<&Run> {
        self.run.as_ref().ok_or(Error::Order { what, needs: "beginning a training run" })
    }

    /// One optimizer step of the run's adapter, at full strength whatever the switches say.
    ///
    /// # Errors
    /// `order` without a run, `merged`, `diverged`.
    pub fn step(&mut self) -> Result<Step> {
        self.training("a step", |trainer, model| trainer.step(model))
    }

    /// The gradients of some of the next step's sequences, for a worker among several.
    ///
    /// # Errors
    /// `order` without a run, `merged`.
    pub fn gradients(&mut self, sequences: Range<usize>) -> Result<Vec<Gradients>> {
        self.training("gradients", |trainer, model| trainer.gradients(model, sequences))
    }

    /// Applies the gradients of all sequences of a step, in their order.
    ///
    /// # Errors
    /// `order` without a run, `merged`, `diverged`.
    pub fn apply(&mut self, gradients: &[Gradients]) -> Result<Step> {
        self.training("applying gradients", |trainer, model| trainer.apply(model, gradients))
    }

    /// A sum of gradients for the next step, with nothing in it yet.
    ///
    /// # Errors
    /// `order` without a run.
    pub fn gradient_sum(&self) -> Result<GradientSum> {
        Ok(self.running("a step")?.trainer.gradient_sum())
    }

    /// Adds the gradients of some of the next step's sequences to its sum, one after another.
    ///
    /// # Errors
    /// `order` without a run, `merged`.
    pub fn add_gradients(&mut self, sequences: Range<usize>, sum: &mut GradientSum) -> Result<()> {
        self.training("a step", |trainer, model| trainer.add_gradients(model, sequences, sum))
    }

    /// The update of a step by the sum of its gradients. The held-out loss is left to [`Self::held_out_losses`].
    ///
    /// # Errors
    /// `order` without a run, `merged`, `diverged`, `config` if sequences are missing in the sum.
    pub fn update(&mut self, sum: GradientSum) -> Result<Step> {
        self.training("a step", |trainer, _| trainer.update(sum))
    }

    /// What some of the held-out windows add to the mean loss, with the run's adapter at full strength.
    ///
    /// # Errors
    /// `order` without a run, `merged`, `config` for a window that there is not.
    pub fn held_out_losses(&mut self, windows: Range<usize>) -> Result<Vec<f64>> {
        self.training("evaluating", |trainer, model| trainer.held_out_losses(model, windows))
    }

    /// Where the run stands.
    ///
    /// # Errors
    /// `order` without a run.
    pub fn position(&self) -> Result<Position> {
        let Run { adapter, trainer } = self.running("a step")?;
        let step = trainer.steps_done();
        let held_out_windows = if trainer.is_evaluated(step + 1) { trainer.held_out_windows().len() } else { 0 };
        let adapter = adapter.clone();
        Ok(Position { run: self.runs, adapter, step, sequences: trainer.config().sequences(), held_out_windows })
    }

    /// The values of all parameters of the run, in the optimizer's order.
    ///
    /// # Errors
    /// `order` without a run.
    pub fn values(&self) -> Result<Vec<f32>> {
        self.running("reading values")?.trainer.optimizer().values()
    }

    /// Puts the run where another worker's stands, so that gradients and held-out losses are the same: its steps done and
    /// its [`Self::values`].
    ///
    /// # Errors
    /// `order` without a run, `config` for too many or too few values.
    pub fn follow(&mut self, step: usize, values: &[f32]) -> Result<()> {
        self.training("following", |trainer, _| trainer.follow(step, values))
    }

    /// Mean held-out loss in nats a token, with the run's adapter at full strength or as it is merged; `None` if nothing is held out.
    ///
    /// # Errors
    /// `order` without a run, `merged` while another adapter is merged.
    pub fn evaluate(&self) -> Result<Option<f64>> {
        let Run { adapter, trainer } = self.running("evaluating")?;
        self.can_act(adapter.as_deref(), "evaluating the training")?;
        self.acting(adapter.as_deref(), 1., |lab| trainer.evaluate(&lab.model))
    }

    /// Whether there is a run, under way or at its end.
    pub fn is_training(&self) -> bool {
        self.run.is_some()
    }

    /// What a run of the named adapter takes. Without a name: what the run takes or, before there is one, what a run of the active adapter or of
    /// all weights would take.
    ///
    /// # Errors
    /// `no-adapter`, `order` if there is nothing to train.
    pub fn footprint(&self, adapter: Option<&str>) -> Result<Footprint> {
        let trainable = match (adapter, &self.run, &self.full) {
            (None, Some(run), _) => run.trainer.optimizer().parameters(),
            (None, None, Some(_)) => self.base_parameters(),
            (adapter, ..) => self.named(&self.chosen(adapter, "a footprint")?)?.parameters(),
        };
        let numbers = |count: usize| count * size_of::<f32>();
        Ok(Footprint { trainable, gradient_bytes: numbers(trainable), optimizer_bytes: numbers(2 * trainable) })
    }

    /// Lends the run's trainer and the model to `f` while its adapter acts at full strength.
    fn training<R>(&mut self, what: &'static str, f: impl FnOnce(&mut Trainer, &Gpt2) -> Result<R>) -> Result<R> {
        self.not_merged(what)?;
        self.running(what)?;
        // Out of its place, so that the rest of the lab can be lent beside it.
        let mut run = self.run.take();
        let result = run
            .as_mut()
            .map(|Run { adapter, trainer }| self.acting(adapter.as_deref(), 1., |lab| f(trainer, &lab.model)));
        self.run = run;
        result.unwrap_or(Err(Error::Order { what, needs: "beginning a training run" }))
    }
}
