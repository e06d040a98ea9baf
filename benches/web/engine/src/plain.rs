//! A GPT-2 with LoRA in plain candle: candle-nn's layers, loss and AdamW, and not a line of `lora_lab::ops`.
//!
//! Where candle-nn has two forms of an operation, the one with a gradient is taken: its fused layer norm and
//! softmax have none.

use candle_core::{D, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Embedding, Linear, Module, Optimizer, ParamsAdamW};
use lora_lab::checkpoint::Gpt2Config;
use std::collections::HashMap;

/// A frozen linear layer and its adapter: `y = x·Wᵀ + b + s·(x·Aᵀ)·Bᵀ`, `A (rank, in)`, `B (out, rank)` as in PEFT's files.
struct LoraLinear {
    base: Linear,
    a: Var,
    b: Var,
    scaling: f64,
}

impl LoraLinear {
    /// `x (rows, in)` → `(rows, out)`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let adapter = x.matmul(&self.a.t()?)?.matmul(&self.b.t()?)?;
        self.base.forward(x)? + (adapter * self.scaling)?
    }
}

/// candle-nn's layer norm in the form that has a gradient.
struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f32,
}

impl LayerNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::layer_norm_slow(x, &self.weight, &self.bias, self.epsilon)
    }
}

struct Block {
    ln_1: LayerNorm,
    c_attn: LoraLinear,
    attn_c_proj: LoraLinear,
    ln_2: LayerNorm,
    c_fc: LoraLinear,
    mlp_c_proj: LoraLinear,
}

/// The model and its optimizer.
pub struct PlainGpt2 {
    config: Gpt2Config,
    wte: Embedding,
    wpe: Tensor,
    blocks: Vec<Block>,
    ln_f: LayerNorm,
    lm_head: Linear,
    optimizer: AdamW,
}

/// Tensors of a file, asked for by name.
struct Weights(HashMap<String, Tensor>);

impl Weights {
    fn get(&self, name: &str) -> Result<Tensor> {
        self.0.get(name).cloned().ok_or_else(|| candle_core::Error::Msg(format!("tensor {name} is missing")))
    }

    fn norm(&self, name: &str, epsilon: f64) -> Result<LayerNorm> {
        let (weight, bias) = (self.get(&format!("{name}.weight"))?, self.get(&format!("{name}.bias"))?);
        Ok(LayerNorm { weight, bias, epsilon: epsilon as f32 })
    }

    /// The checkpoint's `Conv1D (in, out)` as candle's `Linear (out, in)`, with its adapter.
    fn linear(&self, name: &str, adapter: &Self, scaling: f64, vars: &mut Vec<Var>) -> Result<LoraLinear> {
        let weight = self.get(&format!("{name}.weight"))?.t()?.contiguous()?;
        let base = Linear::new(weight, Some(self.get(&format!("{name}.bias"))?));
        let var = |matrix| Var::from_tensor(&adapter.get(&format!("base_model.model.{name}.{matrix}.weight"))?);
        let (a, b) = (var("lora_A")?, var("lora_B")?);
        vars.extend([a.clone(), b.clone()]);
        Ok(LoraLinear { base, a, b, scaling })
    }
}

impl PlainGpt2 {
    /// From a checkpoint with tied head and a PEFT adapter of all four linear layers of each block.
    ///
    /// # Errors
    /// candle's, or the name of a tensor that is missing.
    pub fn new(config: Gpt2Config, weights: &[u8], adapter: &[u8], scaling: f64, learning_rate: f64) -> Result<Self> {
        let read = |bytes| candle_core::safetensors::load_buffer(bytes, &Device::Cpu).map(Weights);
        let (weights, adapter) = (read(weights)?, read(adapter)?);
        let mut vars = Vec::new();
        let epsilon = config.layer_norm_epsilon;
        let blocks = (0..config.n_layer).map(|i| {
            let at = |name: &str| format!("transformer.h.{i}.{name}");
            let mut linear = |name: &str| weights.linear(&at(name), &adapter, scaling, &mut vars);
            Ok(Block {
                ln_1: weights.norm(&at("ln_1"), epsilon)?,
                c_attn: linear("attn.c_attn")?,
                attn_c_proj: linear("attn.c_proj")?,
                ln_2: weights.norm(&at("ln_2"), epsilon)?,
                c_fc: linear("mlp.c_fc")?,
                mlp_c_proj: linear("mlp.c_proj")?,
            })
        });
        let blocks = blocks.collect::<Result<_>>()?;
        let wte = weights.get("transformer.wte.weight")?;
        let params = ParamsAdamW { lr: learning_rate, weight_decay: 0.01, ..ParamsAdamW::default() };
        Ok(Self {
            wpe: weights.get("transformer.wpe.weight")?,
            ln_f: weights.norm("transformer.ln_f", epsilon)?,
            lm_head: Linear::new(wte.clone(), None),
            wte: Embedding::new(wte, config.n_embd),
            optimizer: AdamW::new(vars, params)?,
            blocks,
            config,
        })
    }

    /// One optimizer step on `windows (batch, time + 1)`: inputs, and shifted by one, targets. The mean loss before the update.
    ///
    /// # Errors
    /// candle's.
    pub fn step(&mut self, windows: &[u32], batch: usize) -> Result<f32> {
        let (inputs, targets) = inputs_and_targets(windows, batch)?;
        let loss = candle_nn::loss::cross_entropy(&self.logits(&inputs)?, &targets)?;
        self.optimizer.backward_step(&loss)?;
        loss.to_scalar()
    }

    /// `ids (batch, time)` → `(batch·time, vocabulary)`.
    fn logits(&self, ids: &Tensor) -> Result<Tensor> {
        let (batch, time) = ids.dims2()?;
        let (d, rows) = (self.config.n_embd, batch * time);
        let x = self.wte.forward(ids)?.broadcast_add(&self.wpe.narrow(0, 0, time)?)?;
        let mut x = x.reshape((rows, d))?;
        let mask = causal_mask(time)?;
        for block in &self.blocks {
            let qkv = block.c_attn.forward(&block.ln_1.forward(&x)?)?;
            let mixed = attention(&qkv.reshape((batch, time, 3 * d))?, self.config.n_head, &mask)?;
            x = (x + block.attn_c_proj.forward(&mixed.reshape((rows, d))?)?)?;
            let hidden = block.c_fc.forward(&block.ln_2.forward(&x)?)?.gelu()?;
            x = (x + block.mlp_c_proj.forward(&hidden)?)?;
        }
        self.lm_head.forward(&self.ln_f.forward(&x)?)
    }
}

/// `(batch, time)` and `(batch·time)` of `windows (batch, time + 1)`.
fn inputs_and_targets(windows: &[u32], batch: usize) -> Result<(Tensor, Tensor)> {
    let length = windows.len() / batch;
    let windows = Tensor::from_slice(windows, (batch, length), &Device::Cpu)?;
    let inputs = windows.narrow(1, 0, length - 1)?.contiguous()?;
    Ok((inputs, windows.narrow(1, 1, length - 1)?.flatten_all()?))
}

/// 0 where a position may look, −∞ where it may not: `(time, time)`.
pub(crate) fn causal_mask(time: usize) -> Result<Tensor> {
    let mask = (0..time * time).map(|at| if at % time > at / time { f32::NEG_INFINITY } else { 0. }).collect();
    Tensor::from_vec(mask, (time, time), &Device::Cpu)
}

/// `qkv (batch, time, 3d)` → `(batch, time, d)`.
pub(crate) fn attention(qkv: &Tensor, heads: usize, mask: &Tensor) -> Result<Tensor> {
    let (batch, time, width) = qkv.dims3()?;
    let (d, head_dim) = (width / 3, width / 3 / heads);
    let part = |i: usize| {
        let part = qkv.narrow(2, i * d, d)?.reshape((batch, time, heads, head_dim))?;
        part.transpose(1, 2)?.contiguous()
    };
    let (q, k, v) = (part(0)?, part(1)?, part(2)?);
    let scores = (q.matmul(&k.t()?)? / (head_dim as f64).sqrt())?;
    let probabilities = candle_nn::ops::softmax(&scores.broadcast_add(mask)?, D::Minus1)?;
    probabilities.matmul(&v)?.transpose(1, 2)?.reshape((batch, time, d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lora_lab::lora::LoraConfig;
    use lora_lab::model::{Gpt2, Qkv};
    use lora_lab::rng::Rng;
    use lora_lab::train::{Schedule, TrainConfig};

    #[test]
    fn plain_candle_trains_the_same_model_to_the_same_losses() {
        let (vocabulary, block, batch, learning_rate) = (61, 12, 3, 1e-2);
        let config = Gpt2Config::new(vocabulary, 16, 24, 3, 2);
        // Larger weights than a new model's, and biases that are not zero: a model that knows nothing forgives every mistake.
        let (_, vars) = Gpt2::init(config.clone(), &mut Rng::new(1)).unwrap();
        let mut rng = Rng::new(2);
        let tensors = vars.iter().map(|(name, var)| {
            let values: Vec<f32> = (0..var.elem_count()).map(|_| rng.normal() * 0.3).collect();
            (name.clone(), Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap())
        });
        let tensors: Vec<(String, Tensor)> = tensors.collect();
        let weights = safetensors::serialize(tensors.iter().map(|(name, tensor)| (name, tensor)), None).unwrap();

        let json = serde_json::to_string(&config).unwrap();
        let mut lab = lora_lab::Lab::new(&json, &weights, None, Qkv::Fused).unwrap();
        lab.attach("default", &LoraConfig { rank: 4, alpha: 8., ..LoraConfig::default() }).unwrap();
        let (adapter, _) = lab.export_adapter(None).unwrap();
        let ids: Vec<u32> = (0..400).map(|_| rng.below(vocabulary) as u32).collect();
        let settings = TrainConfig {
            batch_size: batch,
            block_size: block,
            learning_rate,
            schedule: Schedule::Constant,
            warmup_steps: 0,
            gradient_clip: 0.,
            held_out: 0.,
            evaluate_every: 0,
            seed: 5,
            ..TrainConfig::default()
        };
        lab.begin_training(None, &lora_lab::lab::Input::Ids(ids.clone()), settings).unwrap();
        let mut plain = PlainGpt2::new(config, &weights, &adapter, 2., learning_rate).unwrap();
        let mut losses = Vec::new();
        for step in 0..6 {
            let windows = crate::windows(ids.clone(), vocabulary, block, batch, 5, step).unwrap();
            let (ours, theirs) = (lab.step().unwrap().loss, f64::from(plain.step(&windows, batch).unwrap()));
            assert!((ours - theirs).abs() < 1e-4, "step {step}: {ours} and {theirs}");
            losses.push(ours);
        }
        // The losses tell steps apart: an adapter that never moved would pass the comparison of the first alone.
        assert!(losses.windows(2).all(|pair| (pair[0] - pair[1]).abs() > 1e-3), "{losses:?}");
    }
}
