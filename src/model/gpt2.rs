//! GPT-2 (Radford et al., 2019) in the names and the layout of its Hugging Face checkpoint.

use super::CausalLm;
use super::source::{FromFile, FromRng, Shapes, Source};
use crate::checkpoint::{Gpt2Config, TensorFile};
use crate::error::{Error, Result};
use crate::nn::{AnyLinear, BlockInput, Child, LayerCache, LayerNorm, Linear, NamedChildren, Pass};
use crate::ops::activation::gelu;
use crate::ops::attention::{attention, attention_cached};
use crate::ops::dropout::{Dropout, dropout};
use crate::ops::frozen_weight::Orientation;
use crate::rng::Rng;
use candle_core::{IndexOp, Tensor, Var};
use candle_nn::{Embedding, Module};
use std::borrow::Cow;

/// What the model ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Next-token logits, tied to the embedding or not, as the configuration says.
    Vocabulary,
    /// A classifier with a bias, as in the textbook's appendix E.
    Classes(usize),
}

/// How attention makes q, k and v.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qkv {
    /// One layer `c_attn`, as in the checkpoint.
    Fused,
    /// Three layers `W_query`, `W_key`, `W_value`, as in the textbook.
    Split,
}

#[derive(Debug)]
struct Attention {
    query_key_value: Projections,
    c_proj: AnyLinear,
    heads: usize,
}

#[derive(Debug)]
enum Projections {
    Fused(AnyLinear),
    Split([AnyLinear; 3]),
}

const SPLIT_NAMES: [&str; 3] = ["W_query", "W_key", "W_value"];

#[derive(Debug)]
struct Mlp {
    c_fc: AnyLinear,
    c_proj: AnyLinear,
}

#[derive(Debug)]
struct Block {
    ln_1: LayerNorm,
    attn: Attention,
    ln_2: LayerNorm,
    mlp: Mlp,
}

/// The model without its head.
#[derive(Debug)]
struct Transformer {
    wte: Embedding,
    wpe: Tensor,
    h: Vec<Block>,
    ln_f: LayerNorm,
}

/// GPT-2.
#[derive(Debug)]
pub struct Gpt2 {
    config: Gpt2Config,
    transformer: Transformer,
    lm_head: AnyLinear,
}

impl Gpt2 {
    /// A model from `model.safetensors`: with or without the `transformer.` prefix, tied or untied.
    ///
    /// # Errors
    /// `config`, `unsupported` for a configuration that [`Gpt2Config::check`] refuses; `missing-tensor`,
    /// `unknown-tensor`, `shape` and what [`TensorFile::read`] refuses.
    pub fn load(config: Gpt2Config, weights: &[u8], qkv: Qkv) -> Result<Self> {
        Self::from_file(config, weights, qkv, &mut |_, tensor| Ok(tensor))
    }

    /// The same with weights that train, under the checkpoint's names: full fine-tuning.
    ///
    /// # Errors
    /// See [`Self::load`].
    pub fn load_trainable(config: Gpt2Config, weights: &[u8]) -> Result<(Self, Vec<(String, Var)>)> {
        let mut vars = Vec::new();
        let model = Self::from_file(config, weights, Qkv::Fused, &mut |name, tensor| {
            let var = Var::from_tensor(&tensor)?;
            vars.push((name.to_owned(), var.clone()));
            Ok(var.into_inner())
        })?;
        Ok((model, vars))
    }

    fn from_file(
        config: Gpt2Config,
        weights: &[u8],
        qkv: Qkv,
        wrap: &mut dyn FnMut(&str, Tensor) -> Result<Tensor>,
    ) -> Result<Self> {
        config.check()?;
        // Old checkpoints contain the causal mask, in any type; `attn.c_attn.bias` is not one of them.
        let mask = |name: &str| name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
        let tied = config.tie_word_embeddings;
        let unwanted = |name: &str| mask(name) || tied && name == "lm_head.weight";
        let mut file = TensorFile::read_without(weights, "model.safetensors", unwanted)?;
        let bare = |name: &str| name == "lm_head.weight" || name.starts_with("transformer.");
        file.rename(|name| if bare(name) { name.into() } else { format!("transformer.{name}") })?;
        let model = Self::build(config, Head::Vocabulary, qkv, &mut FromFile { file: &mut file, wrap })?;
        file.finish()?;
        Ok(model)
    }

    /// A model with new, trainable weights, drawn as GPT-2's were: `N(0, 0.02)`, projections into the
    /// residual stream divided by `√(2·blocks)`, norms one, biases zero.
    ///
    /// # Errors
    /// `config` for impossible sizes.
    pub fn init(config: Gpt2Config, rng: &mut Rng) -> Result<(Self, Vec<(String, Var)>)> {
        config.check()?;
        let mut source = FromRng { rng, blocks: config.n_layer, vars: Vec::new() };
        let model = Self::build(config, Head::Vocabulary, Qkv::Fused, &mut source)?;
        Ok((model, source.vars))
    }

    /// A model of shapes alone, which takes hardly any memory: every weight is a single zero, broadcast.
    ///
    /// # Errors
    /// `config` for impossible sizes.
    pub fn shapes(config: Gpt2Config, head: Head, qkv: Qkv) -> Result<Self> {
        config.check()?;
        Self::build(config, head, qkv, &mut Shapes)
    }

    /// The configuration.
    pub fn config(&self) -> &Gpt2Config {
        &self.config
    }

    /// Number of parameters; a tied head is counted once.
    pub fn parameters(&self) -> usize {
        self.named_tensors().iter().map(|(_, t)| t.elem_count()).sum()
    }

    /// Whether every packed copy that a kernel reads equals its weight, bit for bit.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn packed_equal_weights(&self) -> Result<bool> {
        let mut places = vec![&self.lm_head];
        for Block { attn, mlp, .. } in &self.transformer.h {
            match &attn.query_key_value {
                Projections::Fused(c_attn) => places.push(c_attn),
                Projections::Split(three) => places.extend(three),
            }
            places.extend([&attn.c_proj, &mlp.c_fc, &mlp.c_proj]);
        }
        places.into_iter().try_fold(true, |equal, place| Ok(equal && place.in_use().packed_equals_weight()?))
    }

    fn build(config: Gpt2Config, head: Head, qkv: Qkv, source: &mut dyn Source) -> Result<Self> {
        let (d, vocabulary) = (config.n_embd, config.vocab_size);
        let wte = source.tensor("transformer.wte.weight", &[vocabulary, d])?;
        let wpe = source.tensor("transformer.wpe.weight", &[config.n_positions, d])?;
        let h = (0..config.n_layer).map(|i| Block::build(i, &config, qkv, source)).collect::<Result<_>>()?;
        let ln_f = norm("transformer.ln_f", &config, source)?;
        let lm_head = match head {
            Head::Vocabulary if config.tie_word_embeddings => Linear::new(wte.clone(), None, Orientation::OutIn),
            Head::Vocabulary => {
                Linear::new(source.tensor("lm_head.weight", &[vocabulary, d])?, None, Orientation::OutIn)
            }
            Head::Classes(n) => {
                let bias = source.tensor("lm_head.bias", &[n])?;
                Linear::new(source.tensor("lm_head.weight", &[n, d])?, Some(bias), Orientation::OutIn)
            }
        };
        let transformer = Transformer { wte: Embedding::new(wte, d), wpe, h, ln_f };
        Ok(Self { config, transformer, lm_head: lm_head?.into() })
    }

    /// The last hidden state, after the final norm: `ids (batch, time)` → `(batch, time, d)`.
    ///
    /// # Errors
    /// See [`CausalLm::forward`].
    pub fn hidden(&self, ids: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        self.through_blocks(ids, pass, |_| ())
    }

    /// All hidden states as Hugging Face numbers them: the embeddings, then each block's output,
    /// the last one after `ln_f`.
    ///
    /// # Errors
    /// See [`CausalLm::forward`].
    pub fn hidden_states(&self, ids: &Tensor, pass: &mut Pass) -> Result<Vec<Tensor>> {
        let mut states = Vec::new();
        let last = self.through_blocks(ids, pass, |entering| states.push(entering.clone()))?;
        states.push(last);
        Ok(states)
    }

    /// The last hidden state, after the final norm; `entering` is called with the input of each block.
    fn through_blocks(&self, ids: &Tensor, pass: &mut Pass, mut entering: impl FnMut(&Tensor)) -> Result<Tensor> {
        let kept = pass.block_input.as_ref().and_then(|kept| (**kept).clone());
        let (first, mut x) = match kept {
            Some(BlockInput { block, hidden }) => (block, hidden),
            None => (0, self.embed(ids, pass)?),
        };
        let Transformer { h, ln_f, .. } = &self.transformer;
        for (i, block) in h.iter().enumerate().skip(first) {
            entering(&x);
            let y = block.forward(&x, i, pass)?;
            let lowest_that_trains = y.track_op() && !x.track_op();
            if let Some(kept) = &mut pass.block_input
                && lowest_that_trains
                && i > first
            {
                **kept = Some(BlockInput { block: i, hidden: x });
            }
            x = y;
        }
        if let Some(cache) = &mut pass.cache {
            cache.advance(ids.dim(1)?);
        }
        ln_f.forward(&x)
    }

    /// What enters the first block.
    fn embed(&self, ids: &Tensor, pass: &Pass) -> Result<Tensor> {
        let (_batch, time) = ids.dims2()?;
        let past = pass.cache.as_ref().map_or(0, |cache| cache.len());
        if past + time > self.config.n_positions {
            return Err(Error::TooLong { got: past + time, context: self.config.n_positions });
        }
        let Transformer { wte, wpe, .. } = &self.transformer;
        let x = wte.forward(ids)?.broadcast_add(&wpe.i(past..past + time)?)?;
        model_dropout(&x, pass, 0)
    }
}

impl CausalLm for Gpt2 {
    fn forward(&self, ids: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        self.lm_head.forward(&self.hidden(ids, pass)?, pass)
    }

    fn named_tensors(&self) -> Vec<(String, Tensor)> {
        let Transformer { wte, wpe, h, ln_f } = &self.transformer;
        let mut all = vec![
            ("transformer.wte.weight".to_owned(), wte.embeddings().clone()),
            ("transformer.wpe.weight".to_owned(), wpe.clone()),
        ];
        let norm = |name: String, norm: &LayerNorm, all: &mut Vec<_>| {
            all.push((format!("{name}.weight"), norm.weight.clone()));
            all.push((format!("{name}.bias"), norm.bias.clone()));
        };
        let linear = |name: String, linear: &AnyLinear, all: &mut Vec<_>| {
            all.push((format!("{name}.weight"), linear.in_use().weight().clone()));
            all.extend(linear.in_use().bias().map(|bias| (format!("{name}.bias"), bias.clone())));
        };
        for (i, block) in h.iter().enumerate() {
            let at = |name: &str| format!("transformer.h.{i}.{name}");
            norm(at("ln_1"), &block.ln_1, &mut all);
            match &block.attn.query_key_value {
                Projections::Fused(c_attn) => linear(at("attn.c_attn"), c_attn, &mut all),
                Projections::Split(three) => {
                    SPLIT_NAMES
                        .iter()
                        .zip(three)
                        .for_each(|(name, l)| linear(at(&format!("attn.{name}")), l, &mut all));
                }
            }
            linear(at("attn.c_proj"), &block.attn.c_proj, &mut all);
            norm(at("ln_2"), &block.ln_2, &mut all);
            linear(at("mlp.c_fc"), &block.mlp.c_fc, &mut all);
            linear(at("mlp.c_proj"), &block.mlp.c_proj, &mut all);
        }
        norm("transformer.ln_f".into(), ln_f, &mut all);
        // A tied head is the embedding itself, unless an adapter was merged into it.
        if self.lm_head.in_use().weight().id() != wte.embeddings().id() {
            linear("lm_head".into(), &self.lm_head, &mut all);
        }
        all
    }

    fn context(&self) -> usize {
        self.config.n_positions
    }

    fn vocabulary(&self) -> usize {
        self.config.vocab_size
    }

    fn blocks(&self) -> usize {
        self.config.n_layer
    }
}

impl Block {
    fn build(i: usize, config: &Gpt2Config, qkv: Qkv, source: &mut dyn Source) -> Result<Self> {
        let d = config.n_embd;
        let at = |name: &str| format!("transformer.h.{i}.{name}");
        let ln_1 = norm(&at("ln_1"), config, source)?;
        let fused = conv1d(&at("attn.c_attn"), d, 3 * d, source)?;
        let query_key_value = match qkv {
            Qkv::Fused => Projections::Fused(fused.into()),
            Qkv::Split => Projections::Split(split(&fused, d)?),
        };
        let c_proj = conv1d(&at("attn.c_proj"), d, d, source)?.into();
        let ln_2 = norm(&at("ln_2"), config, source)?;
        let c_fc = conv1d(&at("mlp.c_fc"), d, config.inner(), source)?.into();
        let mlp = Mlp { c_fc, c_proj: conv1d(&at("mlp.c_proj"), config.inner(), d, source)?.into() };
        Ok(Self { ln_1, attn: Attention { query_key_value, c_proj, heads: config.n_head }, ln_2, mlp })
    }

    /// `x (batch, time, d)` → the same shape.
    fn forward(&self, x: &Tensor, i: usize, pass: &mut Pass) -> Result<Tensor> {
        let mixed = self.attn.forward(&self.ln_1.forward(x)?, i, pass)?;
        let x = (x + model_dropout(&mixed, pass, 2 * i as u64 + 1)?)?;
        let hidden = gelu(&self.mlp.c_fc.forward(&self.ln_2.forward(&x)?, pass)?)?;
        let added = self.mlp.c_proj.forward(&hidden, pass)?;
        Ok((&x + model_dropout(&added, pass, 2 * i as u64 + 2)?)?)
    }
}

impl Attention {
    fn forward(&self, x: &Tensor, block: usize, pass: &mut Pass) -> Result<Tensor> {
        let qkv = match &self.query_key_value {
            Projections::Fused(c_attn) => c_attn.forward(x, pass)?,
            Projections::Split([q, k, v]) => {
                Tensor::cat(&[q.forward(x, pass)?, k.forward(x, pass)?, v.forward(x, pass)?], 2)?
            }
        };
        let y = match pass.cache.as_mut().and_then(|cache| cache.layer(block)) {
            Some(LayerCache { keys, values }) => attention_cached(&qkv, self.heads, keys, values)?,
            None => attention(&qkv, self.heads)?,
        };
        self.c_proj.forward(&y, pass)
    }
}

impl NamedChildren for Gpt2 {
    fn named_children(&mut self) -> Vec<(Cow<'static, str>, Child<'_>)> {
        vec![
            ("transformer".into(), Child::Module(&mut self.transformer)),
            ("lm_head".into(), Child::Linear(&mut self.lm_head)),
        ]
    }
}

impl NamedChildren for Transformer {
    fn named_children(&mut self) -> Vec<(Cow<'static, str>, Child<'_>)> {
        vec![("h".into(), Child::Module(&mut self.h))]
    }
}

impl NamedChildren for Block {
    fn named_children(&mut self) -> Vec<(Cow<'static, str>, Child<'_>)> {
        vec![("attn".into(), Child::Module(&mut self.attn)), ("mlp".into(), Child::Module(&mut self.mlp))]
    }
}

impl NamedChildren for Attention {
    fn named_children(&mut self) -> Vec<(Cow<'static, str>, Child<'_>)> {
        let mut all: Vec<(Cow<'static, str>, Child)> = match &mut self.query_key_value {
            Projections::Fused(c_attn) => vec![("c_attn".into(), Child::Linear(c_attn))],
            Projections::Split(three) => {
                SPLIT_NAMES.iter().zip(three).map(|(&name, l)| (name.into(), Child::Linear(l))).collect()
            }
        };
        all.push(("c_proj".into(), Child::Linear(&mut self.c_proj)));
        all
    }
}

impl NamedChildren for Mlp {
    fn named_children(&mut self) -> Vec<(Cow<'static, str>, Child<'_>)> {
        vec![("c_fc".into(), Child::Linear(&mut self.c_fc)), ("c_proj".into(), Child::Linear(&mut self.c_proj))]
    }
}

/// Dropout inside the model, for full training; each `place` of one pass has a mask of its own.
fn model_dropout(x: &Tensor, pass: &Pass, place: u64) -> Result<Tensor> {
    match pass.dropout_key {
        Some(key) if pass.model_dropout > 0. => {
            let key = Rng::keyed(key, &[place]).next_u64();
            Ok(dropout(x, &Dropout { probability: pass.model_dropout, key })?)
        }
        _ => Ok(x.clone()),
    }
}

fn norm(name: &str, config: &Gpt2Config, source: &mut dyn Source) -> Result<LayerNorm> {
    let weight = source.tensor(&format!("{name}.weight"), &[config.n_embd])?;
    let bias = source.tensor(&format!("{name}.bias"), &[config.n_embd])?;
    Ok(LayerNorm { weight, bias, epsilon: config.layer_norm_epsilon })
}

fn conv1d(name: &str, inputs: usize, outputs: usize, source: &mut dyn Source) -> Result<Linear> {
    let weight = source.tensor(&format!("{name}.weight"), &[inputs, outputs])?;
    let bias = source.tensor(&format!("{name}.bias"), &[outputs])?;
    Linear::new(weight, Some(bias), Orientation::InOut)
}

/// `c_attn (d, 3d)` as three layers `(d, d)`.
fn split(fused: &Linear, d: usize) -> Result<[AnyLinear; 3]> {
    let part = |i: usize| {
        let weight = fused.weight().narrow(1, i * d, d)?.contiguous()?;
        let bias = fused.bias().map(|bias| bias.narrow(0, i * d, d)?.contiguous()).transpose()?;
        Ok::<_, Error>(AnyLinear::from(Linear::new(weight, bias, Orientation::InOut)?))
    };
    Ok([part(0)?, part(1)?, part(2)?])
}
