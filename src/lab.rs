//! One loaded model with its adapters, its run and its generation: what a page holds.
//!
//! Nothing here is new; it keeps the parts consistent. A request that is refused has changed nothing.

use crate::checkpoint::Gpt2Config;
use crate::error::{Error, Result};
use crate::generate::{GenerateConfig, Generator};
use crate::lora::replace::{Plan, PlannedLayer};
use crate::lora::{self, Adapter, LoraConfig, peft};
use crate::model::{CausalLm, Gpt2, Qkv};
use crate::nn::module::for_each_linear;
use crate::nn::{KvCache, Pass};
use crate::rng::Rng;
use crate::tokenizer::{StreamDecoder, Tokenizer};
use crate::train::state::SavedRun;
use crate::train::{Gradients, Step, TrainConfig, Trainer};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::Range;

/// Text, or tokens for a model without a tokenizer.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Input {
    Text(String),
    Ids(Vec<u32>),
}

/// A linear layer of the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerInfo {
    pub name: String,
    #[serde(rename = "in")]
    pub inputs: usize,
    #[serde(rename = "out")]
    pub outputs: usize,
}

/// What a model is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    pub architecture: &'static str,
    pub parameters: usize,
    pub vocabulary: usize,
    pub context_length: usize,
    pub blocks: usize,
    pub width: usize,
    pub heads: usize,
    pub has_tokenizer: bool,
    pub end_of_text: Option<u32>,
    pub layers: Vec<LayerInfo>,
}

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

/// One token of a generation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Token {
    /// `None` at the end.
    pub id: Option<u32>,
    /// What became printable.
    pub text: String,
    pub done: bool,
}

/// What a saved state keeps of its surroundings.
#[derive(Serialize, Deserialize)]
struct Context {
    base: String,
    adapter: String,
    lora: LoraConfig,
}

#[derive(Debug)]
struct Generation {
    generator: Generator,
    decoder: StreamDecoder,
}

/// See the module.
#[derive(Debug)]
pub struct Lab {
    model: Gpt2,
    tokenizer: Option<Tokenizer>,
    adapters: BTreeMap<String, Adapter>,
    active: Option<String>,
    enabled: bool,
    strength: f32,
    merged: bool,
    trainer: Option<Trainer>,
    generation: Option<Generation>,
    qkv: Qkv,
    /// Of the base, counted before anything can be merged into it.
    parameters: usize,
    /// Each adapter's values when it was attached or imported.
    starts: BTreeMap<String, Vec<Tensor>>,
    /// The base's digest from before merging, while something is merged.
    unmerged_digest: Option<String>,
}

impl Lab {
    /// A model from the contents of its files.
    ///
    /// # Errors
    /// Whatever is wrong with a file, by its name.
    pub fn new(config: &str, weights: &[u8], tokenizer: Option<&str>, qkv: Qkv) -> Result<Self> {
        let config = Gpt2Config::from_json(config)?;
        let tokenizer = tokenizer.map(Tokenizer::from_json).transpose()?;
        if let Some(tokenizer) = tokenizer.as_ref().filter(|t| t.vocabulary() > config.vocab_size) {
            let expected = format!("at most the model's vocab_size, {}", config.vocab_size);
            return Err(Error::config("tokenizer.json's vocabulary", expected, tokenizer.vocabulary()));
        }
        let model = Gpt2::load(config, weights, qkv)?;
        Ok(Self {
            qkv,
            parameters: model.parameters(),
            starts: BTreeMap::new(),
            unmerged_digest: None,
            model,
            tokenizer,
            adapters: BTreeMap::new(),
            active: None,
            enabled: true,
            strength: 1.,
            merged: false,
            trainer: None,
            generation: None,
        })
    }

    /// What the model is.
    ///
    /// # Errors
    /// None in practice; walking the tree can fail in general.
    pub fn info(&mut self) -> Result<Info> {
        let layers = self.layers()?;
        let config = self.model.config();
        Ok(Info {
            architecture: "gpt2",
            parameters: self.base_parameters(),
            vocabulary: config.vocab_size,
            context_length: config.n_positions,
            blocks: config.n_layer,
            width: config.n_embd,
            heads: config.n_head,
            has_tokenizer: self.tokenizer.is_some(),
            end_of_text: self.end_of_text(),
            layers,
        })
    }

    fn layers(&mut self) -> Result<Vec<LayerInfo>> {
        let mut layers = Vec::new();
        for_each_linear(&mut self.model, &mut |path, linear| {
            let (inputs, outputs) = (linear.base().in_features(), linear.base().out_features());
            layers.push(LayerInfo { name: path.into(), inputs, outputs });
            Ok::<_, Error>(())
        })?;
        Ok(layers)
    }

    fn base_parameters(&self) -> usize {
        self.parameters
    }

    fn end_of_text(&self) -> Option<u32> {
        let of_tokenizer = self.tokenizer.as_ref().and_then(Tokenizer::end_of_text);
        of_tokenizer.or(self.model.config().eos_token_id)
    }

    // ── adapters ────────────────────────────────────────────────────────────────────────────────

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
    /// `config`, `no-target`, `adapter-exists`, `merged`.
    pub fn attach(&mut self, name: &str, config: &LoraConfig) -> Result<Attached> {
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

    fn adopt(&mut self, name: &str, adapter: Adapter) -> Result<()> {
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
    /// `order` without an active adapter, `merged`.
    pub fn reset(&mut self) -> Result<()> {
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
        let digest = self.base_digest()?;
        lora::merge(&mut self.model)?;
        (self.merged, self.unmerged_digest, self.generation) = (true, Some(digest), None);
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
        (self.merged, self.unmerged_digest, self.generation) = (false, None, None);
        Ok(())
    }

    /// Whether the adapter is merged.
    pub fn is_merged(&self) -> bool {
        self.merged
    }

    /// Tells every adapter whether it acts.
    fn switch(&self) {
        for (name, adapter) in &self.adapters {
            adapter.switch().set_active(self.enabled && self.active.as_ref() == Some(name));
            adapter.switch().set_strength(self.strength);
        }
    }

    fn named(&self, name: &str) -> Result<&Adapter> {
        let attached = || match self.adapters.is_empty() {
            true => "none".to_owned(),
            false => self.adapters.keys().cloned().collect::<Vec<_>>().join(", "),
        };
        self.adapters.get(name).ok_or_else(|| Error::NoAdapter { name: name.into(), attached: attached() })
    }

    fn active_adapter(&self, what: &'static str) -> Result<&Adapter> {
        match &self.active {
            Some(name) => self.named(name),
            None => Err(Error::Order { what, needs: "an attached adapter" }),
        }
    }

    fn not_merged(&self, what: &'static str) -> Result<()> {
        if self.merged { Err(Error::Merged { what }) } else { Ok(()) }
    }

    // ── training ────────────────────────────────────────────────────────────────────────────────

    /// Begins a run of the active adapter over a text.
    ///
    /// # Errors
    /// `order` without an active adapter, `merged`, `no-tokenizer` and what [`Trainer::new`] refuses;
    /// an earlier run goes on then.
    pub fn begin_training(&mut self, text: &Input, config: TrainConfig) -> Result<DataInfo> {
        self.not_merged("training")?;
        let vars = self.active_adapter("training")?.vars().cloned().collect();
        let trainer = Trainer::new(vars, self.ids(text)?, config, &self.model)?;
        let data = trainer.data();
        let info = DataInfo {
            tokens: data.ids().len(),
            train_tokens: data.train().len(),
            held_out_tokens: data.held_out().len(),
        };
        self.trainer = Some(trainer);
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

    /// The run as bytes: adapter, optimizer, position, settings and text.
    ///
    /// # Errors
    /// `order` without a run.
    pub fn save_state(&self) -> Result<Vec<u8>> {
        let trainer = self.trainer.as_ref().ok_or_else(|| no_run("saving the state"))?;
        let adapter = self.active_adapter("saving the state")?;
        let context = Context {
            base: self.unmerged_digest.clone().map_or_else(|| self.base_digest(), Ok)?,
            adapter: self.active.clone().unwrap_or_default(),
            lora: adapter.config().clone(),
        };
        trainer.save(serde_json::to_value(context).map_err(|e| Error::format("the saved state", e))?)
    }

    /// Goes on with a saved run: its adapter is attached, replacing one of the same name, and active.
    ///
    /// # Errors
    /// `format`, `shape`, and `other-base` for a state that was made on another base.
    pub fn resume(&mut self, bytes: &[u8]) -> Result<Resumed> {
        self.not_merged("resuming")?;
        let saved = SavedRun::read(bytes)?;
        let context: Context =
            serde_json::from_value(saved.context().clone()).map_err(|e| Error::format("the saved state", e))?;
        let expected = self.base_digest()?;
        if context.base != expected {
            return Err(Error::OtherBase { what: "the saved state", expected, got: context.base });
        }
        // Built under a name of its own, so that a refusal leaves the present adapter alone.
        let scratch = "\u{0}resume";
        let adapter = lora::attach(&mut self.model, scratch, &context.lora, &mut Rng::new(context.lora.seed))?;
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
        lora::remove(&mut self.model, &context.adapter)?;
        lora::rename(&mut self.model, scratch, &context.adapter)?;
        self.adopt(&context.adapter, adapter)?;
        self.starts.insert(context.adapter.clone(), start);
        let at = Resumed { step: trainer.steps_done(), steps: trainer.config().steps };
        (self.trainer, self.generation) = (Some(trainer), None);
        Ok(at)
    }

    /// Lends run and model to `f` with the adapter on at full strength.
    fn training<R>(&mut self, what: &'static str, f: impl FnOnce(&mut Trainer, &Gpt2) -> Result<R>) -> Result<R> {
        self.not_merged(what)?;
        let adapter = self.active_adapter(what)?.clone();
        let trainer = self.trainer.as_mut().ok_or_else(|| no_run(what))?;
        adapter.switch().set_active(true);
        adapter.switch().set_strength(1.);
        let result = f(trainer, &self.model);
        self.switch();
        result
    }

    // ── using the model ─────────────────────────────────────────────────────────────────────────

    /// Begins a generation; an earlier one is dropped.
    ///
    /// # Errors
    /// `no-tokenizer`, `config`, `token`, `too-short`, and `merged` if the base alone is asked for.
    pub fn begin_generation(&mut self, prompt: &Input, config: GenerateConfig) -> Result<()> {
        if !config.adapter {
            self.not_merged("generating without the adapter")?;
        }
        let generator = Generator::new(&self.ids(prompt)?, config, self.end_of_text(), &self.model)?;
        self.generation = Some(Generation { generator, decoder: StreamDecoder::default() });
        Ok(())
    }

    /// The next token.
    ///
    /// # Errors
    /// `order` if no generation is under way, `not-finite`.
    pub fn next_token(&mut self) -> Result<Token> {
        let missing = Error::Order { what: "a token", needs: "beginning a generation" };
        let mut generation = self.generation.take().ok_or(missing)?;
        if !generation.generator.config().adapter {
            self.adapters.values().for_each(|adapter| adapter.switch().set_active(false));
        }
        let id = generation.generator.next(&self.model);
        self.switch();
        let (id, done) = (id?, generation.generator.is_done());
        let Generation { decoder, .. } = &mut generation;
        let mut text = String::new();
        if let Some(tokenizer) = &self.tokenizer {
            if let Some(id) = id {
                text = decoder.push(id, tokenizer)?;
            }
            if done {
                text += &decoder.flush(tokenizer)?;
            }
        }
        if !done {
            self.generation = Some(generation);
        }
        Ok(Token { id, text, done })
    }

    /// The logits of every position `(time · vocabulary)`, with the adapter as it is switched.
    ///
    /// # Errors
    /// `token`, `too-long`, `too-short`.
    pub fn logits(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let vocabulary = self.model.vocabulary();
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(Error::Token { id, vocabulary });
        }
        if ids.is_empty() {
            return Err(Error::TooShort { part: "logits", got: 0, needed: 1 });
        }
        let ids = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu)?;
        // A cache that is thrown away: without it the graph for a backward pass would be built.
        let mut cache = KvCache::new(self.model.blocks());
        let logits = self.model.forward(&ids, &mut Pass { cache: Some(&mut cache), ..Pass::default() })?;
        Ok(logits.flatten_all()?.to_vec1()?)
    }

    /// Text to ids.
    ///
    /// # Errors
    /// `no-tokenizer`, `tokenizer`.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.as_ref().ok_or(Error::NoTokenizer)?.encode(text)
    }

    /// Ids to text.
    ///
    /// # Errors
    /// `no-tokenizer`, `tokenizer`.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.as_ref().ok_or(Error::NoTokenizer)?.decode(ids)
    }

    fn ids(&self, input: &Input) -> Result<Vec<u32>> {
        match input {
            Input::Text(text) => self.encode(text),
            Input::Ids(ids) => Ok(ids.clone()),
        }
    }

    /// SHA-256 over names, shapes and bytes of all base weights as they lie in memory now, in hex.
    /// The packed copies that the kernels read are compared with them, bit for bit.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn base_digest(&self) -> Result<String> {
        let mut sha = Sha256::new();
        for (name, tensor) in self.model.named_tensors() {
            sha.update(format!("{name} {:?}\n", tensor.dims()));
            crate::ops::with_slice(&tensor, |values| {
                // In pieces: a copy of the embedding would stay in wasm memory, which never shrinks.
                for part in values.chunks(1024) {
                    let bytes: Vec<u8> = part.iter().flat_map(|x| x.to_le_bytes()).collect();
                    sha.update(bytes);
                }
            })?;
        }
        sha.update([u8::from(!self.model.packed_equal_weights()?)]);
        Ok(sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The model, for tests and tools.
    pub fn model(&mut self) -> &mut Gpt2 {
        &mut self.model
    }
}

fn no_run(what: &'static str) -> Error {
    Error::Order { what, needs: "beginning a training run" }
}
