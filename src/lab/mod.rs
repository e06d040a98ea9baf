//! One loaded model with its adapters, its run and its generation: what a page holds.
//!
//! Nothing here is new; it keeps the parts consistent. A request that is refused has changed nothing.
//!
//! An **adapter** is a set of matrices with a name and the values that it began with. A **run** trains one adapter, by name, from its
//! beginning to its end. Which adapter acts, its **voice**, is said with each request; the active one is only the default.
//!
//! - [`voice`] – which adapter acts in a request
//! - [`adapters`] – attach, import, export, select, rename, remove, switch, merge
//! - [`full`] – the base's own weights train instead
//! - [`training`] – begin, step, evaluate and end a run
//! - [`saving`] – adapters, defaults and run as bytes, and back
//! - [`inspect`] – norms, singular values, candidates, the loss of a text
//! - [`writing`] – generate token by token, logits

mod adapters;
mod full;
mod inspect;
mod saving;
mod training;
mod voice;
mod writing;

pub use adapters::{AdapterInfo, Attached};
pub use inspect::{Candidate, CandidateOptions, Candidates, DeltaOptions, DeltaView, LayerDelta, Next, TokenText};
pub use saving::{Defaults, Resumed};
pub use training::{DataInfo, Footprint, Position};
pub use voice::Voice;
pub use writing::Token;

use crate::checkpoint::Gpt2Config;
use crate::error::{Error, Result};
use crate::model::{CausalLm, Gpt2, Qkv};
use crate::nn::module::for_each_linear;
use crate::tokenizer::Tokenizer;
use adapters::Kept;
use full::Full;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use training::Run;
use writing::Generation;

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

/// See the module.
#[derive(Debug)]
pub struct Lab {
    model: Gpt2,
    tokenizer: Option<Tokenizer>,
    adapters: BTreeMap<String, Kept>,
    /// The adapter that a request means which names none.
    active: Option<String>,
    /// Whether the active adapter acts where none is named.
    enabled: bool,
    /// The factor on the scaling of whichever adapter acts in a request.
    strength: f32,
    /// The adapter that is added to the weights.
    merged: Option<String>,
    run: Option<Run>,
    /// Runs begun or resumed so far.
    runs: usize,
    generation: Option<Generation>,
    /// Present if the base's own weights train.
    full: Option<Full>,
    /// Of the base, counted before anything can be merged into it.
    parameters: usize,
    /// See [`Self::origin`].
    origin: OnceLock<String>,
}

impl Lab {
    /// A model from the contents of its files.
    ///
    /// # Errors
    /// Whatever is wrong with a file, by its name.
    pub fn new(config: &str, weights: &[u8], tokenizer: Option<&str>, qkv: Qkv) -> Result<Self> {
        let config = Gpt2Config::from_json(config)?;
        let tokenizer = Self::tokenizer(&config, tokenizer)?;
        Ok(Self::with_model(Gpt2::load(config, weights, qkv)?, tokenizer))
    }

    fn tokenizer(config: &Gpt2Config, json: Option<&str>) -> Result<Option<Tokenizer>> {
        let tokenizer = json.map(Tokenizer::from_json).transpose()?;
        if let Some(tokenizer) = tokenizer.as_ref().filter(|t| t.vocabulary() > config.vocab_size) {
            let expected = format!("at most the model's vocab_size, {}", config.vocab_size);
            return Err(Error::config("tokenizer.json's vocabulary", expected, tokenizer.vocabulary()));
        }
        Ok(tokenizer)
    }

    fn with_model(model: Gpt2, tokenizer: Option<Tokenizer>) -> Self {
        Self {
            parameters: model.parameters(),
            origin: OnceLock::new(),
            model,
            tokenizer,
            adapters: BTreeMap::new(),
            active: None,
            enabled: true,
            strength: 1.,
            merged: None,
            run: None,
            runs: 0,
            generation: None,
            full: None,
        }
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

    /// The digest of the base as it was loaded, which a saved run has to find again. Taken once, before anything is merged or trained in full: to hash all
    /// weights takes a fifth of a training step, and a run is saved every few seconds.
    fn origin(&self) -> Result<&str> {
        if let Some(digest) = self.origin.get() {
            return Ok(digest);
        }
        let digest = self.base_digest()?;
        Ok(self.origin.get_or_init(|| digest))
    }

    /// The model, for tests and tools.
    pub fn model(&mut self) -> &mut Gpt2 {
        &mut self.model
    }
}
