//! What a lab says: text token by token, and logits.

use super::{Input, Lab};
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
    generator: Generator,
    decoder: StreamDecoder,
}

impl Lab {
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
        let adapter = generation.generator.config().adapter;
        let mut next = |lab: &Self| generation.generator.next(&lab.model);
        let id = if adapter { next(self) } else { self.without_adapter(next) };
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
}
