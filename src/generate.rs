//! Sampling, token by token.

use crate::error::{Error, Result};
use crate::model::CausalLm;
use crate::nn::{KvCache, Pass};
use crate::rng::Rng;
use candle_core::{Device, IndexOp, Tensor};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The settings of a generation, under Hugging Face's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GenerateConfig {
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    /// Only the k likeliest tokens; 0 for all.
    pub top_k: usize,
    /// Only the likeliest tokens that together reach this probability (Holtzman et al., 2020); 1 for all.
    pub top_p: f64,
    /// Divides the positive logits, and multiplies the negative ones, of tokens already in the context
    /// (Keskar et al., "CTRL", 2019); 1 for none.
    pub repetition_penalty: f64,
    pub seed: u64,
    /// Ends at the end-of-text token.
    pub stop_at_end: bool,
}

impl Default for GenerateConfig {
    fn default() -> Self {
        Self {
            max_tokens: 100,
            temperature: 0.8,
            top_k: 0,
            top_p: 1.,
            repetition_penalty: 1.,
            seed: 0,
            stop_at_end: true,
        }
    }
}

impl GenerateConfig {
    /// # Errors
    /// `config`, naming the setting.
    pub fn check(&self) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature >= 0.) {
            return Err(Error::config("temperature", "a finite number of 0 or more", self.temperature));
        }
        if !(self.top_p > 0. && self.top_p <= 1.) {
            return Err(Error::config("topP", "more than 0, and at most 1", self.top_p));
        }
        // As an f32, which is what the logits are: 1e39 would be infinite there, and 1e-46 zero.
        let penalty = self.repetition_penalty as f32;
        if !(penalty.is_finite() && penalty > 0.) {
            let expected = "a finite number above 0, also as an f32";
            return Err(Error::config("repetitionPenalty", expected, self.repetition_penalty));
        }
        Ok(())
    }
}

/// A generation under way.
#[derive(Debug)]
pub struct Generator {
    config: GenerateConfig,
    ids: Vec<u32>,
    /// Tokens that the cache has not seen.
    fresh: usize,
    cache: KvCache,
    rng: Rng,
    produced: usize,
    end: Option<u32>,
    done: bool,
}

impl Generator {
    /// Begins after `prompt`; an empty one begins at `end`, as a story does. `end` is the end-of-text token.
    ///
    /// # Errors
    /// `config`, `token`, and `too-short` for an empty prompt without an end-of-text token.
    pub fn new(prompt: &[u32], config: GenerateConfig, end: Option<u32>, model: &dyn CausalLm) -> Result<Self> {
        config.check()?;
        let vocabulary = model.vocabulary();
        if let Some(&id) = prompt.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(Error::Token { id, vocabulary });
        }
        let ids = if prompt.is_empty() { end.into_iter().collect() } else { prompt.to_vec() };
        if ids.is_empty() {
            return Err(Error::TooShort { part: "the prompt", got: 0, needed: 1 });
        }
        let rng = Rng::new(config.seed);
        let (fresh, done) = (ids.len(), config.max_tokens == 0);
        Ok(Self { config, ids, fresh, cache: KvCache::new(model.blocks()), rng, produced: 0, end, done })
    }

    /// The settings.
    pub fn config(&self) -> &GenerateConfig {
        &self.config
    }

    /// Prompt and continuation.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Whether nothing more will come.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The next token; `None` when the length is reached or the text has ended.
    ///
    /// # Errors
    /// `not-finite` if the model's logits are not numbers.
    pub fn next(&mut self, model: &dyn CausalLm) -> Result<Option<u32>> {
        if self.done {
            return Ok(None);
        }
        let mut logits = self.logits(model)?;
        if let Some(position) = logits.iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite { name: "logits".into(), position, value: logits[position] });
        }
        let id = self.choose(&mut logits);
        self.ids.push(id);
        self.fresh = 1;
        self.produced += 1;
        self.done = self.produced >= self.config.max_tokens;
        if self.config.stop_at_end && self.end == Some(id) {
            self.done = true;
            return Ok(None);
        }
        Ok(Some(id))
    }

    /// The logits after the last token `(vocabulary)`.
    fn logits(&mut self, model: &dyn CausalLm) -> Result<Vec<f32>> {
        // Positions are absolute, so a full window cannot be shifted: its later half is read anew.
        // Halving makes that rare, and leaves room for as many tokens as were dropped.
        if self.cache.len() + self.fresh > model.context() {
            self.cache.clear();
            self.fresh = self.ids.len().min(model.context().div_ceil(2));
        }
        let new = &self.ids[self.ids.len() - self.fresh..];
        let ids = Tensor::from_slice(new, (1, new.len()), &Device::Cpu)?;
        let mut pass = Pass { cache: Some(&mut self.cache), ..Pass::default() };
        let logits = model.forward(&ids, &mut pass)?;
        Ok(logits.i((0, new.len() - 1))?.to_vec1()?)
    }

    fn choose(&mut self, logits: &mut [f32]) -> u32 {
        let GenerateConfig { temperature, top_k, top_p, repetition_penalty, .. } = self.config;
        if repetition_penalty != 1. {
            let mut seen = self.ids.clone();
            seen.sort_unstable();
            seen.dedup();
            let penalty = repetition_penalty as f32;
            for id in seen {
                let logit = &mut logits[id as usize];
                let penalized = if *logit > 0. { *logit / penalty } else { *logit * penalty };
                // Of two infinite logits no probability could be computed.
                *logit = penalized.clamp(f32::MIN, f32::MAX);
            }
        }
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        if temperature == 0. {
            return order.into_iter().min_by(falling(logits)).unwrap_or(0);
        }
        order.sort_unstable_by(falling(logits));
        order.truncate(if top_k == 0 { order.len() } else { top_k });
        let most = f64::from(logits[order[0] as usize]);
        let mut weights: Vec<f64> =
            order.iter().map(|&id| ((f64::from(logits[id as usize]) - most) / temperature).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut reached = 0.;
        let kept = weights.iter().position(|w| {
            reached += w / total;
            reached >= top_p
        });
        weights.truncate(kept.map_or(weights.len(), |last| last + 1));
        let mut left = f64::from(self.rng.uniform()) * weights.iter().sum::<f64>();
        let place = weights.iter().position(|w| {
            left -= w;
            left < 0.
        });
        order[place.unwrap_or(weights.len() - 1)]
    }
}

/// The order of ids by falling logit. Ties fall to the lower id, so that the order is total and the same everywhere.
fn falling(logits: &[f32]) -> impl Fn(&u32, &u32) -> Ordering {
    |a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b))
}

/// The `count` likeliest ids with their probabilities, the softmax of `logits (vocabulary)`, falling.
pub fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f64)> {
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    if count < ids.len() {
        ids.select_nth_unstable_by(count, falling(logits));
        ids.truncate(count);
    }
    ids.sort_unstable_by(falling(logits));
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| (f64::from(logit) - f64::from(most)).exp();
    let total: f64 = logits.iter().map(|&logit| weight(logit)).sum();
    ids.into_iter().map(|id| (id, weight(logits[id as usize]) / total)).collect()
}
