//! The run of a lab: steps of the active adapter, and the run as bytes.

use super::{Input, Lab};
use crate::error::{Error, Result};
use crate::lora::{self, Adapter, LoraConfig};
use crate::model::Gpt2;
use crate::rng::Rng;
use crate::train::state::SavedRun;
use crate::train::{GradientSum, Gradients, Step, TrainConfig, Trainer};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How the text was split, in tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataInfo {
    pub tokens: usize,
    pub train_tokens: usize,
    pub held_out_tokens: usize,
}

/// Where a resumed run stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resumed {
    pub step: usize,
    pub steps: usize,
}

/// Where a run stands, and how much of its next step can be spread over workers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// Which of this lab's runs it is: another one has another text, other settings or another adapter.
    pub run: usize,
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

/// What a saved state keeps of its surroundings.
#[derive(Serialize, Deserialize)]
struct Context {
    /// The digest of the base that the run began on.
    base: String,
    adapter: String,
    /// Absent if the base's own weights train.
    lora: Option<LoraConfig>,
}

impl Lab {
    /// Begins a run of the active adapter, or of all weights in full fine-tuning, over a text.
    ///
    /// # Errors
    /// `order` without an active adapter, `merged`, `no-tokenizer` and what [`Trainer::new`] refuses;
    /// an earlier run goes on then.
    pub fn begin_training(&mut self, text: &Input, config: TrainConfig) -> Result<DataInfo> {
        self.not_merged("training")?;
        let vars = match &self.full {
            Some(full) => full.vars.clone(),
            None => self.active_adapter("training")?.vars().cloned().collect(),
        };
        let trainer = Trainer::new(vars, self.ids(text)?, config, &self.model)?;
        let data = trainer.data();
        let info = DataInfo {
            tokens: data.ids().len(),
            train_tokens: data.train().len(),
            held_out_tokens: data.held_out().len(),
        };
        self.trainer = Some(trainer);
        self.runs += 1;
        Ok(info)
    }

    /// One optimizer step, with the adapter on and at full strength whatever the switches say.
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
        Ok(self.trainer.as_ref().ok_or_else(|| no_run("a step"))?.gradient_sum())
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

    /// What some of the held-out windows add to the mean loss, with the adapter on and at full strength.
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
        let trainer = self.trainer.as_ref().ok_or_else(|| no_run("a step"))?;
        let step = trainer.steps_done();
        let held_out_windows = if trainer.is_evaluated(step + 1) { trainer.held_out_windows().len() } else { 0 };
        Ok(Position { run: self.runs, step, sequences: trainer.config().sequences(), held_out_windows })
    }

    /// The values of all parameters of the run, in the optimizer's order.
    ///
    /// # Errors
    /// `order` without a run.
    pub fn values(&self) -> Result<Vec<f32>> {
        self.trainer.as_ref().ok_or_else(|| no_run("reading values"))?.optimizer().values()
    }

    /// Puts the run where another worker's stands, so that gradients and held-out losses are the same: its steps done and
    /// its [`Self::values`].
    ///
    /// # Errors
    /// `order` without a run, `config` for too many or too few values.
    pub fn follow(&mut self, step: usize, values: &[f32]) -> Result<()> {
        self.trainer.as_mut().ok_or_else(|| no_run("following"))?.follow(step, values)
    }

    /// Mean held-out loss in nats a token, with the adapter as it is switched; `None` if nothing is held out.
    ///
    /// # Errors
    /// `order` without a run.
    pub fn evaluate(&self) -> Result<Option<f64>> {
        self.trainer.as_ref().ok_or_else(|| no_run("evaluating"))?.evaluate(&self.model)
    }

    /// Whether there is a run.
    pub fn is_training(&self) -> bool {
        self.trainer.is_some()
    }

    /// What the run takes or, before there is one, what a run of the active adapter or of all weights would take.
    ///
    /// # Errors
    /// `order` if there is nothing to train.
    pub fn footprint(&self) -> Result<Footprint> {
        let trainable = match (&self.trainer, &self.full) {
            (Some(trainer), _) => trainer.optimizer().parameters(),
            (None, Some(_)) => self.base_parameters(),
            (None, None) => self.active_adapter("a footprint")?.parameters(),
        };
        let numbers = |count: usize| count * size_of::<f32>();
        Ok(Footprint { trainable, gradient_bytes: numbers(trainable), optimizer_bytes: numbers(2 * trainable) })
    }

    /// The run as bytes: adapter or weights, optimizer, position, settings and text.
    ///
    /// # Errors
    /// `order` without a run.
    pub fn save_state(&self) -> Result<Vec<u8>> {
        let trainer = self.trainer.as_ref().ok_or_else(|| no_run("saving the state"))?;
        let base = self.origin()?.to_owned();
        let context = match &self.full {
            Some(_) => Context { base, adapter: String::new(), lora: None },
            None => Context {
                base,
                adapter: self.active.clone().unwrap_or_default(),
                lora: Some(self.active_adapter("saving the state")?.config().clone()),
            },
        };
        trainer.save(serde_json::to_value(context).map_err(|e| Error::format("the saved state", e))?)
    }

    /// Goes on with a saved run: its adapter is attached, replacing one of the same name, and active; or the weights are what it made of them.
    ///
    /// # Errors
    /// `format`, `shape`, `other-base` for a state that was made on another base, and `unsupported` for the other kind of training.
    pub fn resume(&mut self, bytes: &[u8]) -> Result<Resumed> {
        self.not_merged("resuming")?;
        let saved = SavedRun::read(bytes)?;
        let context: Context =
            serde_json::from_value(saved.context().clone()).map_err(|e| Error::format("the saved state", e))?;
        let expected = self.origin()?;
        if context.base != expected {
            return Err(Error::OtherBase { what: "the saved state", expected: expected.to_owned(), got: context.base });
        }
        let trainer = match (context.lora, &self.full) {
            (Some(lora), None) => self.resume_adapter(saved, &context.adapter, &lora)?,
            (None, Some(full)) => {
                let (trainer, values) = saved.resume(full.vars.clone(), &self.model)?;
                trainer.optimizer().set_values(&values)?;
                trainer
            }
            (lora, _) => {
                let detail = if lora.is_some() { "load the model without it" } else { "load the model for it" };
                return Err(Error::Unsupported { what: "resuming with full fine-tuning", detail: detail.into() });
            }
        };
        let at = Resumed { step: trainer.steps_done(), steps: trainer.config().steps };
        (self.trainer, self.generation) = (Some(trainer), None);
        self.runs += 1;
        Ok(at)
    }

    /// The adapter of a saved run in the place of one of the same name, and its trainer.
    fn resume_adapter(&mut self, saved: SavedRun, name: &str, lora: &LoraConfig) -> Result<Trainer> {
        // Built under a name of its own, so that a refusal leaves the present adapter alone.
        let scratch = "\u{0}resume";
        let adapter = lora::attach(&mut self.model, scratch, lora, &mut Rng::new(lora.seed))?;
        adapter.switch().set_active(false);
        let start = adapter.snapshot()?;
        let resumed = saved.resume(adapter.vars().cloned().collect(), &self.model).and_then(|(trainer, values)| {
            trainer.optimizer().set_values(&values)?;
            Ok(trainer)
        });
        let trainer = match resumed {
            Ok(trainer) => trainer,
            Err(error) => {
                lora::remove(&mut self.model, scratch)?;
                return Err(error);
            }
        };
        lora::remove(&mut self.model, name)?;
        lora::rename(&mut self.model, scratch, name)?;
        self.adopt(name, adapter)?;
        self.starts.insert(name.to_owned(), start);
        Ok(trainer)
    }

    /// Lends run and model to `f` with the adapter on at full strength.
    fn training<R>(&mut self, what: &'static str, f: impl FnOnce(&mut Trainer, &Gpt2) -> Result<R>) -> Result<R> {
        self.not_merged(what)?;
        let adapter = match self.full {
            Some(_) => None,
            None => Some(self.active_adapter(what)?.clone()),
        };
        let trainer = self.trainer.as_mut().ok_or_else(|| no_run(what))?;
        if let Some(switch) = adapter.as_ref().map(Adapter::switch) {
            switch.set_active(true);
            switch.set_strength(1.);
        }
        let result = f(trainer, &self.model);
        self.switch();
        result
    }
}

fn no_run(what: &'static str) -> Error {
    Error::Order { what, needs: "beginning a training run" }
}
