//! The border to JavaScript, which has the clock.

use crate::kernels::{Case, Sizes, cases};
use crate::plain::PlainGpt2;
use lora_lab::checkpoint::Gpt2Config;
use wasm_bindgen::prelude::*;

type Result<T> = std::result::Result<T, JsError>;

/// See [`crate::windows`].
#[wasm_bindgen]
pub fn windows(
    ids: Vec<u32>,
    vocabulary: usize,
    block: usize,
    batch: usize,
    seed: u32,
    step: usize,
) -> Result<Vec<u32>> {
    Ok(crate::windows(ids, vocabulary, block, batch, seed.into(), step)?)
}

/// Bytes of WebAssembly memory.
#[wasm_bindgen(js_name = memoryBytes)]
pub fn memory_bytes() -> f64 {
    core::arch::wasm32::memory_size(0) as f64 * 65_536.
}

/// See [`PlainGpt2`].
#[wasm_bindgen]
pub struct Plain(PlainGpt2);

#[wasm_bindgen]
impl Plain {
    #[wasm_bindgen(constructor)]
    pub fn new(config: &str, weights: &[u8], adapter: &[u8], scaling: f64, learning_rate: f64) -> Result<Plain> {
        let config = Gpt2Config::from_json(config)?;
        Ok(Plain(PlainGpt2::new(config, weights, adapter, scaling, learning_rate)?))
    }

    pub fn step(&mut self, windows: &[u32], batch: usize) -> Result<f32> {
        Ok(self.0.step(windows, batch)?)
    }
}

/// See [`cases`].
#[wasm_bindgen]
pub struct Kernels(Vec<Case>);

#[wasm_bindgen]
impl Kernels {
    #[wasm_bindgen(constructor)]
    pub fn new(width: usize, heads: usize, time: usize, vocabulary: usize, rank: usize) -> Result<Kernels> {
        Ok(Kernels(cases(Sizes { width, heads, time, vocabulary, rank })?))
    }

    /// `[{ name, shape, flops, elements, error }]` as JSON.
    pub fn list(&self) -> String {
        let list = self.0.iter().map(|Case { name, shape, flops, elements, error, .. }| {
            serde_json::json!({ "name": name, "shape": shape, "flops": flops, "elements": elements, "error": error })
        });
        list.collect::<serde_json::Value>().to_string()
    }

    pub fn run(&mut self, case: usize, times: u32) {
        self.0[case].run(times);
    }

    #[wasm_bindgen(js_name = runCandle)]
    pub fn run_candle(&mut self, case: usize, times: u32) -> Result<()> {
        Ok(self.0[case].run_candle(times)?)
    }
}
