//! What the test files share: the oracle's files and small models.
#![allow(dead_code)]

use candle_core::{Device, Tensor};
use lora_lab::checkpoint::{Gpt2Config, safetensors};
use lora_lab::model::{CausalLm, Gpt2, Qkv};
use lora_lab::rng::Rng;
use lora_lab::train::TrainConfig;
use std::collections::{BTreeMap, HashMap};

/// A file of the oracle directory, `None` if it has none of this name.
#[cfg(not(target_arch = "wasm32"))]
pub fn oracle_file(path: &str) -> Option<Vec<u8>> {
    let directory = std::env::var("LORA_LAB_ORACLE").unwrap_or_else(|_| env!("LORA_LAB_ORACLE_DIR").into());
    std::fs::read(std::path::Path::new(&directory).join(path)).ok()
}

/// A file of the oracle directory, as it was when the tests were built.
#[cfg(target_arch = "wasm32")]
pub fn oracle_file(path: &str) -> Option<Vec<u8>> {
    static ORACLE: include_dir::Dir = include_dir::include_dir!("$LORA_LAB_ORACLE_DIR");
    ORACLE.get_file(path).map(|file| file.contents().to_vec())
}

pub fn oracle(path: &str) -> Vec<u8> {
    oracle_file(path).unwrap_or_else(|| panic!("the oracle has no {path}"))
}

pub fn oracle_text(path: &str) -> String {
    String::from_utf8(oracle(path)).expect("a text")
}

pub fn oracle_json(path: &str) -> serde_json::Value {
    serde_json::from_slice(&oracle(path)).expect("JSON")
}

/// Tensors as candle reads them, integers included.
pub fn oracle_tensors(path: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load_buffer(&oracle(path), &Device::Cpu).expect("safetensors")
}

/// The oracle's base model.
pub fn oracle_base() -> Gpt2 {
    let config = Gpt2Config::from_json(&oracle_text("base/config.json")).unwrap();
    Gpt2::load(config, &oracle("base/model.safetensors"), Qkv::Fused).unwrap()
}

/// Rows of token ids.
pub fn ids(tensor: &Tensor) -> Vec<Vec<u32>> {
    let rows = tensor.dims().last().copied().unwrap();
    let flat = tensor.to_dtype(candle_core::DType::U32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    flat.chunks(rows).map(<[u32]>::to_vec).collect()
}

pub fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference; panics if the shapes differ.
pub fn max_diff(got: &Tensor, want: &Tensor) -> f32 {
    assert_eq!(got.dims(), want.dims());
    let pairs = numbers(got).into_iter().zip(numbers(want));
    pairs
        .map(|(got, want)| (got - want).abs())
        .fold(0., |worst, d| if d.is_nan() { f32::INFINITY } else { d.max(worst) })
}

/// The sizes of a small model: vocabulary 61, context 32, width 24, 3 heads, 2 blocks.
pub fn small_config() -> Gpt2Config {
    Gpt2Config::new(61, 32, 24, 3, 2)
}

/// A small model's files, `config.json` and `model.safetensors`, with weights large enough to matter.
pub fn small_files(seed: u64) -> (String, Vec<u8>) {
    let mut rng = Rng::new(seed);
    let (model, _) = Gpt2::init(small_config(), &mut rng).unwrap();
    let mut tensors = BTreeMap::new();
    for (name, tensor) in model.named_tensors() {
        let scale = if name.ends_with("weight") && tensor.rank() == 1 { 0.2 } else { 0.15 };
        let noise: Vec<f32> = (0..tensor.elem_count()).map(|_| scale * rng.normal()).collect();
        let noise = Tensor::from_vec(noise, tensor.dims(), &Device::Cpu).unwrap();
        tensors.insert(name, (tensor.detach() + noise).unwrap());
    }
    (serde_json::to_string(&small_config()).unwrap(), safetensors::write(&tensors, &[]).unwrap())
}

pub fn small_model(seed: u64) -> Gpt2 {
    let (config, weights) = small_files(seed);
    Gpt2::load(Gpt2Config::from_json(&config).unwrap(), &weights, Qkv::Fused).unwrap()
}

/// A text with a pattern a model can learn: each token decides the next, with some noise.
pub fn small_text(length: usize, vocabulary: u32, seed: u64) -> Vec<u32> {
    let mut rng = Rng::new(seed);
    let mut id = 1;
    let mut next = || {
        id = if rng.below(5) == 0 { rng.below(vocabulary as usize) as u32 } else { (id * 7 + 3) % vocabulary };
        id
    };
    (0..length).map(|_| next()).collect()
}

/// A run of a few steps over such a text.
pub fn settings() -> TrainConfig {
    TrainConfig {
        steps: 8,
        batch_size: 3,
        block_size: 12,
        learning_rate: 1e-2,
        warmup_steps: 2,
        evaluate_every: 4,
        seed: 11,
        ..TrainConfig::default()
    }
}

/// The logits of one sequence, `(time, vocabulary)`.
pub fn logits(model: &Gpt2, sequence: &[u32]) -> Tensor {
    let ids = Tensor::from_slice(sequence, (1, sequence.len()), &Device::Cpu).unwrap();
    model.forward(&ids, &mut Default::default()).unwrap().squeeze(0).unwrap().detach()
}
