//! The class `Lab`, method for method that of [`crate::lab`].

use super::convert::{adapter, gradients, input, object, options, read, voice};
use super::error::to_js;
use crate::lab;
use crate::lora::LoraConfig;
use crate::model::Qkv;
use crate::train;
use js_sys::{Array, Float32Array, Object, Reflect, Uint8Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

type Result<T> = std::result::Result<T, JsValue>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct LoadOptions {
    split_qkv: bool,
    full: bool,
}

/// What a run takes, and what the whole engine does.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Footprint {
    #[serde(flatten)]
    run: lab::Footprint,
    wasm_bytes: f64,
}

/// A step's gradients so far.
#[wasm_bindgen]
pub struct GradientSum(train::GradientSum);

#[wasm_bindgen]
impl GradientSum {
    /// Adds the next sequence's part.
    pub fn add(&mut self, loss: f64, values: &[f32]) -> Result<()> {
        self.0.add(loss, values).map_err(to_js)
    }
}

/// A model with its adapters, its run and its generation.
#[wasm_bindgen]
pub struct Lab(lab::Lab);

#[wasm_bindgen]
impl Lab {
    /// From the contents of `config.json`, `model.safetensors` and `tokenizer.json`.
    #[wasm_bindgen(constructor)]
    pub fn new(config: &str, weights: &[u8], tokenizer: Option<String>, load: &JsValue) -> Result<Lab> {
        let LoadOptions { split_qkv, full } = options(load)?;
        let qkv = if split_qkv { Qkv::Split } else { Qkv::Fused };
        let tokenizer = tokenizer.as_deref();
        let lab = match full {
            true => lab::Lab::new_full(config, weights, tokenizer, qkv),
            false => lab::Lab::new(config, weights, tokenizer, qkv),
        };
        lab.map(Lab).map_err(to_js)
    }

    pub fn info(&mut self) -> Result<JsValue> {
        object(&self.0.info().map_err(to_js)?)
    }

    pub fn plan(&mut self, config: &JsValue) -> Result<JsValue> {
        object(&self.0.plan(&options(config)?).map_err(to_js)?)
    }

    pub fn attach(&mut self, name: &str, config: &JsValue) -> Result<JsValue> {
        let config: LoraConfig = options(config)?;
        object(&self.0.attach(name, &config).map_err(to_js)?)
    }

    pub fn adapters(&self) -> Result<JsValue> {
        object(&self.0.adapters())
    }

    pub fn select(&mut self, name: &str) -> Result<()> {
        self.0.select(name).map_err(to_js)
    }

    #[wasm_bindgen(js_name = setEnabled)]
    pub fn set_enabled(&mut self, enabled: bool) -> Result<()> {
        self.0.set_enabled(enabled).map_err(to_js)
    }

    #[wasm_bindgen(js_name = setStrength)]
    pub fn set_strength(&mut self, strength: f64) -> Result<()> {
        self.0.set_strength(strength).map_err(to_js)
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        self.0.rename(from, to).map_err(to_js)
    }

    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.0.remove(name).map_err(to_js)
    }

    pub fn reset(&mut self, name: &JsValue) -> Result<()> {
        self.0.reset(adapter(name)?.as_deref()).map_err(to_js)
    }

    pub fn merge(&mut self, name: &JsValue) -> Result<()> {
        self.0.merge(adapter(name)?.as_deref()).map_err(to_js)
    }

    pub fn unmerge(&mut self) -> Result<()> {
        self.0.unmerge().map_err(to_js)
    }

    #[wasm_bindgen(js_name = isMerged)]
    pub fn is_merged(&self) -> bool {
        self.0.is_merged()
    }

    /// `{ safetensors: Uint8Array, config: string }`
    #[wasm_bindgen(js_name = exportAdapter)]
    pub fn export_adapter(&mut self, name: &JsValue) -> Result<JsValue> {
        let (safetensors, config) = self.0.export_adapter(adapter(name)?.as_deref()).map_err(to_js)?;
        let files = Object::new();
        Reflect::set(&files, &"safetensors".into(), &Uint8Array::from(&safetensors[..]))?;
        Reflect::set(&files, &"config".into(), &config.into())?;
        Ok(files.into())
    }

    #[wasm_bindgen(js_name = importAdapter)]
    pub fn import_adapter(&mut self, name: &str, safetensors: &[u8], config: &str) -> Result<JsValue> {
        object(&self.0.import_adapter(name, safetensors, config).map_err(to_js)?)
    }

    #[wasm_bindgen(js_name = beginTraining)]
    pub fn begin_training(&mut self, text: &JsValue, config: &JsValue, name: &JsValue) -> Result<JsValue> {
        let name = adapter(name)?;
        object(&self.0.begin_training(name.as_deref(), &input(text)?, options(config)?).map_err(to_js)?)
    }

    #[wasm_bindgen(js_name = endTraining)]
    pub fn end_training(&mut self) {
        self.0.end_training();
    }

    /// `{ run, adapter, step, sequences, heldOutWindows }`
    pub fn position(&self) -> Result<JsValue> {
        object(&self.0.position().map_err(to_js)?)
    }

    #[wasm_bindgen(js_name = gradientSum)]
    pub fn gradient_sum(&self) -> Result<GradientSum> {
        self.0.gradient_sum().map(GradientSum).map_err(to_js)
    }

    /// Adds the gradients of the sequences from `from` to before `to`, one after another.
    #[wasm_bindgen(js_name = addGradients)]
    pub fn add_gradients(&mut self, from: usize, to: usize, sum: &mut GradientSum) -> Result<()> {
        self.0.add_gradients(from..to, &mut sum.0).map_err(to_js)
    }

    /// `{ loss: number, values: Float32Array }` for each of the sequences from `from` to before `to`.
    pub fn gradients(&mut self, from: usize, to: usize) -> Result<Array> {
        let parts = self.0.gradients(from..to).map_err(to_js)?;
        parts.iter().map(gradients).collect()
    }

    /// The step by the sum of all its gradients, which is used up.
    pub fn update(&mut self, sum: GradientSum) -> Result<JsValue> {
        object(&self.0.update(sum.0).map_err(to_js)?)
    }

    /// What the held-out windows from `from` to before `to` add to the mean loss.
    #[wasm_bindgen(js_name = heldOutLosses)]
    pub fn held_out_losses(&mut self, from: usize, to: usize) -> Result<Vec<f64>> {
        self.0.held_out_losses(from..to).map_err(to_js)
    }

    pub fn values(&self) -> Result<Vec<f32>> {
        self.0.values().map_err(to_js)
    }

    pub fn follow(&mut self, step: usize, values: &[f32]) -> Result<()> {
        self.0.follow(step, values).map_err(to_js)
    }

    /// `undefined` if nothing is held out.
    pub fn evaluate(&self) -> Result<Option<f64>> {
        self.0.evaluate().map_err(to_js)
    }

    #[wasm_bindgen(js_name = isTraining)]
    pub fn is_training(&self) -> bool {
        self.0.is_training()
    }

    #[wasm_bindgen(js_name = saveState)]
    pub fn save_state(&self) -> Result<Vec<u8>> {
        self.0.save_state().map_err(to_js)
    }

    #[wasm_bindgen(js_name = saveAdapters)]
    pub fn save_adapters(&self) -> Result<Vec<u8>> {
        self.0.save_adapters().map_err(to_js)
    }

    /// `{ active, enabled, strength, merged }`
    pub fn defaults(&self) -> Result<JsValue> {
        object(&self.0.defaults())
    }

    /// `run`: what `saveState` gave, or nothing.
    pub fn restore(&mut self, adapters: &[u8], defaults: &JsValue, run: Option<Vec<u8>>) -> Result<()> {
        self.0.restore(adapters, &read(defaults)?, run.as_deref()).map_err(to_js)
    }

    pub fn resume(&mut self, bytes: &[u8]) -> Result<JsValue> {
        object(&self.0.resume(bytes).map_err(to_js)?)
    }

    #[wasm_bindgen(js_name = beginGeneration)]
    pub fn begin_generation(&mut self, prompt: &JsValue, config: &JsValue, adapter: &JsValue) -> Result<()> {
        self.0.begin_generation(&input(prompt)?, options(config)?, voice(adapter)?).map_err(to_js)
    }

    #[wasm_bindgen(js_name = nextToken)]
    pub fn next_token(&mut self) -> Result<JsValue> {
        object(&self.0.next_token().map_err(to_js)?)
    }

    pub fn logits(&self, ids: &[u32], adapter: &JsValue) -> Result<Vec<f32>> {
        self.0.logits(ids, voice(adapter)?).map_err(to_js)
    }

    /// `‖ΔW‖_F` and `‖W‖_F` of each adapted layer.
    pub fn deltas(&mut self, name: &JsValue) -> Result<JsValue> {
        object(&self.0.deltas(adapter(name)?.as_deref()).map_err(to_js)?)
    }

    /// ΔW of one layer: `singularValues` and `map` as `Float32Array`.
    pub fn delta(&self, layer: &str, view: &JsValue, name: &JsValue) -> Result<JsValue> {
        let view = self.0.delta(layer, options(view)?, adapter(name)?.as_deref()).map_err(to_js)?;
        let delta = object(&view)?;
        Reflect::set(&delta, &"singularValues".into(), &Float32Array::from(&view.singular_values[..]))?;
        Reflect::set(&delta, &"map".into(), &Float32Array::from(&view.map[..]))?;
        Ok(delta)
    }

    pub fn candidates(&self, prompt: &JsValue, how_many: &JsValue, adapter: &JsValue) -> Result<JsValue> {
        object(&self.0.candidates(&input(prompt)?, options(how_many)?, voice(adapter)?).map_err(to_js)?)
    }

    pub fn loss(&self, text: &JsValue, adapter: &JsValue) -> Result<f64> {
        self.0.loss(&input(text)?, voice(adapter)?).map_err(to_js)
    }

    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.0.encode(text).map_err(to_js)
    }

    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.0.decode(ids).map_err(to_js)
    }

    #[wasm_bindgen(js_name = baseDigest)]
    pub fn base_digest(&self) -> Result<String> {
        self.0.base_digest().map_err(to_js)
    }

    /// `{ trainable, gradientBytes, optimizerBytes, wasmBytes }`
    pub fn footprint(&self, name: &JsValue) -> Result<JsValue> {
        let run = self.0.footprint(adapter(name)?.as_deref()).map_err(to_js)?;
        object(&Footprint { run, wasm_bytes: self.memory() })
    }

    /// Bytes of WebAssembly memory.
    pub fn memory(&self) -> f64 {
        core::arch::wasm32::memory_size(0) as f64 * 65_536.
    }
}
