//! Text to tokens and back, by Hugging Face's own `tokenizers`.

use crate::error::{Error, Result};
use tokenizers::tokenizer::step_decode_stream;

/// The token that separates texts in GPT-2's vocabulary.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// A `tokenizer.json`.
pub struct Tokenizer(tokenizers::Tokenizer);

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Tokenizer({} tokens)", self.vocabulary())
    }
}

fn failed(error: tokenizers::Error) -> Error {
    Error::Tokenizer { reason: error.to_string() }
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// `format`.
    pub fn from_json(json: &str) -> Result<Self> {
        let mut inner: tokenizers::Tokenizer = json.parse().map_err(|e| Error::format("tokenizer.json", e))?;
        // A file may ask for cut or padded texts; here a text is a text.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(failed)?;
        Ok(Self(inner))
    }

    /// Number of tokens, the added ones included.
    pub fn vocabulary(&self) -> usize {
        self.0.get_vocab_size(true)
    }

    /// The id of [`END_OF_TEXT`].
    pub fn end_of_text(&self) -> Option<u32> {
        self.0.token_to_id(END_OF_TEXT)
    }

    /// Text to ids; [`END_OF_TEXT`] in the text becomes its token.
    ///
    /// # Errors
    /// `tokenizer`.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.0.encode_fast(text, false).map_err(failed)?.get_ids().to_vec())
    }

    /// Ids to text, special tokens left out.
    ///
    /// # Errors
    /// `tokenizer`.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.0.decode(ids, true).map_err(failed)
    }
}

/// Ids to text one by one. Half a UTF-8 character is held back until its other half comes.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    ids: Vec<u32>,
    prefix: String,
    prefix_index: usize,
    /// Ids whose text is still held back.
    pending: Vec<u32>,
}

impl StreamDecoder {
    /// What `id` makes printable; often a word, sometimes nothing.
    ///
    /// # Errors
    /// `tokenizer`.
    pub fn push(&mut self, id: u32, tokenizer: &Tokenizer) -> Result<String> {
        self.pending.push(id);
        let text =
            step_decode_stream(&tokenizer.0, vec![id], true, &mut self.ids, &mut self.prefix, &mut self.prefix_index);
        let text = text.map_err(failed)?.unwrap_or_default();
        if !text.is_empty() {
            self.pending.clear();
        }
        Ok(text)
    }

    /// What is still held back when no more tokens come: a broken character prints as `U+FFFD`.
    ///
    /// # Errors
    /// `tokenizer`.
    pub fn flush(&mut self, tokenizer: &Tokenizer) -> Result<String> {
        tokenizer.decode(&std::mem::take(&mut self.pending))
    }
}
