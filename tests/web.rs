//! The border to JavaScript, in a dedicated worker of a headless browser: what the core's own test files,
//! which run there too, do not pass through. `wasm-pack test --headless --chrome`
#![cfg(target_arch = "wasm32")]

mod common;

use common::*;
use lora_lab::generate::GenerateConfig;
use lora_lab::lab::{Input, Lab};
use lora_lab::lora::LoraConfig;
use lora_lab::model::Qkv;
use lora_lab::train::TrainConfig;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[wasm_bindgen_test]
fn it_runs_in_a_dedicated_worker_with_simd() {
    let global = js_sys::global();
    assert!(global.dyn_ref::<web_sys::DedicatedWorkerGlobalScope>().is_some());
    const { assert!(cfg!(target_feature = "simd128")) };
    assert_ne!(lora_lab::kernel::LANES, "scalar");
}

#[wasm_bindgen_test]
fn a_whole_session_trains_writes_saves_and_swaps() {
    let (config, weights) = small_files(1);
    let mut lab = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
    let digest = lab.base_digest().unwrap();
    lab.attach("default", &LoraConfig::default()).unwrap();
    let settings =
        TrainConfig { steps: 30, batch_size: 2, block_size: 16, learning_rate: 2e-2, ..TrainConfig::default() };
    lab.begin_training(None, &Input::Ids(small_text(600, 61, 4)), settings).unwrap();
    let before = lab.evaluate().unwrap().unwrap();
    let mut last = None;
    for _ in 0..30 {
        last = Some(lab.step().unwrap());
    }
    assert!(last.unwrap().held_out_loss.unwrap() < before);
    assert_eq!(lab.base_digest().unwrap(), digest);
    let generate = GenerateConfig { max_tokens: 10, ..GenerateConfig::default() };
    lab.begin_generation(&Input::Ids(vec![1]), generate, true).unwrap();
    while !lab.next_token().unwrap().done {}
    let (safetensors, json) = lab.export_adapter(None).unwrap();
    let want = lab.logits(&[1, 2, 3], true).unwrap();
    lab.remove("default").unwrap();
    lab.import_adapter("again", &safetensors, &json).unwrap();
    assert_eq!(lab.logits(&[1, 2, 3], true).unwrap(), want);
}
