//! Full fine-tuning: the base's own weights train, and there are no adapters. It is there to be compared with.

use super::Lab;
use crate::checkpoint::Gpt2Config;
use crate::error::{Error, Result};
use crate::model::{Gpt2, Qkv};
use candle_core::Var;

/// What a lab has in place of adapters.
#[derive(Debug)]
pub(super) struct Full {
    /// All weights.
    pub vars: Vec<Var>,
    /// Whether they may be others than those that were loaded.
    pub changed: bool,
}

impl Lab {
    /// A model whose own weights train, from the contents of its files.
    ///
    /// # Errors
    /// Whatever is wrong with a file, by its name, and `unsupported` for anything but the fused `c_attn`.
    pub fn new_full(config: &str, weights: &[u8], tokenizer: Option<&str>, qkv: Qkv) -> Result<Self> {
        if qkv == Qkv::Split {
            let detail = "load the model with the fused c_attn, as the file has it".to_owned();
            return Err(Error::Unsupported { what: "full fine-tuning of separate q, k and v", detail });
        }
        let config = Gpt2Config::from_json(config)?;
        let tokenizer = Self::tokenizer(&config, tokenizer)?;
        let (model, named) = Gpt2::load_trainable(config, weights)?;
        let mut lab = Self::with_model(model, tokenizer);
        lab.full = Some(Full { vars: named.into_iter().map(|(_, var)| var).collect(), changed: false });
        lab.origin()?;
        Ok(lab)
    }

    /// Whether the base's own weights train.
    pub fn is_full(&self) -> bool {
        self.full.is_some()
    }

    /// Refuses what is about adapters.
    pub(super) fn not_full(&self, what: &'static str) -> Result<()> {
        match self.full {
            Some(_) => Err(Error::Unsupported { what, detail: "the model was loaded for full fine-tuning".into() }),
            None => Ok(()),
        }
    }
}
