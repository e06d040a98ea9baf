//! What a lab says: text token by token, and logits.

use super::{Input, Lab, Voice};
use crate::error::{Error, Result};
use crate::generate::{GenerateConfig, Generator};
use crate::model::CausalLm;
use crate::nn::{KvCache, Pass};
use crate::tokenizer::StreamDecoder;
use candle_core::{Device, Tensor};
use serde::Serialize;

/// One token of a generation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Token {
    /// `None` at the end.
    pub id: Option<u32>,
    /// What became printable.
    pub text: String,
    pub done: bool,
}

#[derive(Debug)]
pub(super) struct Generation {
    /// The adapter that it was begun with, whichever is active by now; `None` for the base.
    pub speaker: Option<String>,
    generator: Generator,
    decoder: StreamDecoder,
}

impl Lab {
    /// Begins a generation by a voice; an earlier one is dropped.
    ///
    /// # Errors
    /// `no-tokenizer`, `config`, `token`, `too-short`, `no-adapter`, and `merged` if another than the merged adapter is asked for.
    pub fn begin_generation(&mut self, prompt: &Input, config: GenerateConfig, voice: impl Into<Voice>) -> Result<()> {
        let speaker = self.speaker(&voice.into(), "generating without the merged adapter")?;
        let generator = Generator::new(&self.ids(prompt)?, config, self.end_of_text(), &self.model)?;
        self.generation = Some(Generation { speaker, generator, decoder: StreamDecoder::default() });
        Ok(())
    }

    /// The next token.
    ///
    /// # Errors
    /// `order` if no generation is under way, `not-finite`.
    pub fn next_token(&mut self) -> Result<Token> {
        let missing = Error::Order { what: "a token", needs: "beginning a generation" };
        let mut generation = self.generation.take().ok_or(missing)?;
        let Generation { speaker, generator, decoder } = &mut generation;
        let id = self.acting(speaker.as_deref(), self.strength, |lab| generator.next(&lab.model))?;
        let done = generator.is_done();
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

    /// The logits of every position `(time · vocabulary)`, by a voice.
    ///
    /// # Errors
    /// `token`, `too-long`, `too-short`, `no-adapter`, and `merged` if another than the merged adapter is asked for.
    pub fn logits(&self, ids: &[u32], voice: impl Into<Voice>) -> Result<Vec<f32>> {
        let speaker = self.speaker(&voice.into(), "logits without the merged adapter")?;
        self.logits_of(speaker.as_deref(), ids)
    }

    /// The same, by an adapter that has been looked up.
    pub(super) fn logits_of(&self, speaker: Option<&str>, ids: &[u32]) -> Result<Vec<f32>> {
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
        let mut pass = Pass { cache: Some(&mut cache), ..Pass::default() };
        let logits = self.acting(speaker, self.strength, |lab| lab.model.forward(&ids, &mut pass))?;
        Ok(logits.flatten_all()?.to_vec1()?)
    }
}
