//! `config.json` of a GPT-2 in the Hugging Face layout.

use super::MOST_NUMBERS;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The settings that decide the shape and the mathematics of a GPT-2, under their HF names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gpt2Config {
    pub model_type: String,
    /// Numbers per position, `d`.
    pub n_embd: usize,
    pub n_head: usize,
    pub n_layer: usize,
    /// The longest context.
    pub n_positions: usize,
    pub vocab_size: usize,
    /// Width of the MLP's hidden layer; `4·d` if absent.
    #[serde(default)]
    pub n_inner: Option<usize>,
    #[serde(default = "default_epsilon")]
    pub layer_norm_epsilon: f64,
    #[serde(default = "default_activation")]
    pub activation_function: String,
    /// Whether the output head is the token embedding.
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
    #[serde(default)]
    pub eos_token_id: Option<u32>,
    #[serde(default)]
    pub bos_token_id: Option<u32>,
    #[serde(default = "yes", skip_serializing)]
    scale_attn_weights: bool,
    #[serde(default, skip_serializing)]
    scale_attn_by_inverse_layer_idx: bool,
    #[serde(default, skip_serializing)]
    add_cross_attention: bool,
}

fn default_epsilon() -> f64 {
    1e-5
}

fn default_activation() -> String {
    "gelu_new".into()
}

/// Old files call the context `n_ctx`, alone or beside `n_positions`; some list several end-of-text tokens.
fn in_current_form(mut value: serde_json::Value) -> serde_json::Value {
    if let Some(map) = value.as_object_mut() {
        if let Some(context) = map.remove("n_ctx") {
            map.entry("n_positions").or_insert(context);
        }
        if let Some(first) = map.get("eos_token_id").and_then(|ids| ids.get(0)).cloned() {
            map.insert("eos_token_id".into(), first);
        }
    }
    value
}

fn yes() -> bool {
    true
}

impl Gpt2Config {
    /// A configuration with GPT-2's usual settings; the four sizes are the caller's.
    pub fn new(vocabulary: usize, context: usize, width: usize, heads: usize, blocks: usize) -> Self {
        Self {
            model_type: "gpt2".into(),
            n_embd: width,
            n_head: heads,
            n_layer: blocks,
            n_positions: context,
            vocab_size: vocabulary,
            n_inner: None,
            layer_norm_epsilon: default_epsilon(),
            activation_function: default_activation(),
            tie_word_embeddings: true,
            eos_token_id: None,
            bos_token_id: None,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            add_cross_attention: false,
        }
    }

    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// `format` if it is not JSON of this form, `config` for sizes that cannot be, `unsupported`
    /// for another architecture or another kind of mathematics.
    pub fn from_json(json: &str) -> Result<Self> {
        let value: serde_json::Value = serde_json::from_str(json).map_err(|e| Error::format("config.json", e))?;
        match value.get("model_type").and_then(|t| t.as_str()) {
            Some("gpt2") => {}
            other => {
                let detail =
                    format!("model_type {}, expected \"gpt2\"", other.map_or("missing".into(), |t| format!("{t:?}")));
                return Err(Error::Unsupported { what: "the architecture", detail });
            }
        }
        let config: Self =
            serde_json::from_value(in_current_form(value)).map_err(|e| Error::format("config.json", e))?;
        config.check()?;
        Ok(config)
    }

    /// Width of the MLP's hidden layer.
    pub fn inner(&self) -> usize {
        self.n_inner.unwrap_or(self.n_embd.saturating_mul(4))
    }

    /// # Errors
    /// See [`Self::from_json`].
    pub fn check(&self) -> Result<()> {
        // Larger than in any published GPT-2.
        let sizes = [
            ("n_embd", self.n_embd, 16_384),
            ("n_head", self.n_head, 1_024),
            ("n_layer", self.n_layer, 1_024),
            ("n_positions", self.n_positions, 65_536),
            ("vocab_size", self.vocab_size, 262_144),
            ("n_inner", self.inner(), 65_536),
        ];
        for (name, size, most) in sizes {
            if size == 0 || size > most {
                return Err(Error::config(name, format!("1 to {most}"), size));
            }
        }
        // The sizes of the weights, and of the layers' outputs over the whole context.
        let (width, context, qkv) = (self.n_embd as u64, self.n_positions as u64, 3 * self.n_embd as u64);
        let (inner, vocabulary) = (self.inner() as u64, self.vocab_size as u64);
        let products = [
            ("n_embd · 3 n_embd", width * qkv),
            ("n_embd · n_inner", width * inner),
            ("n_embd · vocab_size", width * vocabulary),
            ("n_positions · 3 n_embd", context * qkv),
            ("n_positions · n_inner", context * inner),
            ("n_positions · vocab_size", context * vocabulary),
            ("n_positions · n_head", context * self.n_head as u64),
        ];
        if let Some((name, product)) = products.into_iter().find(|&(_, product)| product > MOST_NUMBERS) {
            return Err(Error::config(name, format!("at most {MOST_NUMBERS}"), product));
        }
        if !self.n_embd.is_multiple_of(self.n_head) {
            return Err(Error::config("n_head", format!("a divisor of n_embd = {}", self.n_embd), self.n_head));
        }
        // As an f32, which is what is computed with: 1e-46 would be 0 there.
        if !(self.layer_norm_epsilon as f32 > 0. && self.layer_norm_epsilon < 1.) {
            let expected = "between 0 and 1, and not 0 as an f32";
            return Err(Error::config("layer_norm_epsilon", expected, self.layer_norm_epsilon));
        }
        for (name, id) in [("eos_token_id", self.eos_token_id), ("bos_token_id", self.bos_token_id)] {
            if let Some(id) = id.filter(|&id| id as usize >= self.vocab_size) {
                return Err(Error::config(name, format!("below vocab_size = {}", self.vocab_size), id));
            }
        }
        let unsupported = |detail: String| Err(Error::Unsupported { what: "this GPT-2", detail });
        if !matches!(self.activation_function.as_str(), "gelu_new" | "gelu_pytorch_tanh") {
            return unsupported(format!("activation_function {:?}, expected \"gelu_new\"", self.activation_function));
        }
        if !self.scale_attn_weights || self.scale_attn_by_inverse_layer_idx || self.add_cross_attention {
            return unsupported("unscaled, layer-scaled or cross attention".into());
        }
        Ok(())
    }
}
