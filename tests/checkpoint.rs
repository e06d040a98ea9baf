//! The Hugging Face layout in the forms it comes in, and the real models of `../shared`.

mod common;

use candle_core::{Device, Tensor};
use common::*;
use lora_lab::checkpoint::{Gpt2Config, safetensors};
use lora_lab::model::{CausalLm, Gpt2, Qkv};
use std::collections::BTreeMap;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn tensors(model: &Gpt2) -> BTreeMap<String, Tensor> {
    model.named_tensors().into_iter().collect()
}

fn load(tensors: &BTreeMap<String, Tensor>, tied: bool) -> lora_lab::Result<Gpt2> {
    let mut config = small_config();
    config.tie_word_embeddings = tied;
    Gpt2::load(config, &safetensors::write(tensors, &[])?, Qkv::Fused)
}

const SEQUENCE: [u32; 4] = [1, 5, 60, 2];

#[test]
fn keys_load_with_and_without_the_prefix_and_old_masks_are_skipped() {
    let model = small_model(1);
    let want = numbers(&logits(&model, &SEQUENCE));
    let mut bare: BTreeMap<_, _> =
        tensors(&model).into_iter().map(|(name, t)| (name.trim_start_matches("transformer.").to_owned(), t)).collect();
    assert_eq!(numbers(&logits(&load(&bare, true).unwrap(), &SEQUENCE)), want);
    let mask = Tensor::from_vec(vec![1f32; 32 * 32], (1, 1, 32, 32), &Device::Cpu).unwrap();
    bare.insert("h.0.attn.bias".into(), mask.clone());
    bare.insert("h.1.attn.masked_bias".into(), mask.clone());
    assert_eq!(numbers(&logits(&load(&bare, true).unwrap(), &SEQUENCE)), want);
    bare.insert("h.0.attn.gate".into(), mask);
    assert_eq!(load(&bare, true).err().map(|e| e.code()), Some("unknown-tensor"));
    bare.remove("h.0.attn.gate");
    bare.remove("h.0.attn.c_attn.bias");
    let error = load(&bare, true).unwrap_err();
    assert_eq!(error.code(), "missing-tensor");
    assert!(error.to_string().contains("h.0.attn.c_attn.bias"), "{error}");
}

#[test]
fn old_files_with_byte_masks_and_two_names_for_the_context_load() {
    let model = small_model(1);
    let mut file = safetensors::write(&tensors(&model), &[]).unwrap();
    // A U8 mask is put behind the other tensors: into the header, and one byte of data.
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let data = file.len() - 8 - length;
    let header = String::from_utf8(file[8..8 + length].to_vec()).unwrap();
    let entry = format!(
        r#","transformer.h.0.attn.bias":{{"dtype":"U8","shape":[1,1,1,1],"data_offsets":[{data},{}]}}}}"#,
        data + 1
    );
    let header = format!("{}{entry}", header.trim_end().strip_suffix('}').unwrap());
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(file.split_off(8 + length));
    bytes.push(1);
    let json = serde_json::to_string(&small_config()).unwrap();
    let old = json
        .replace("\"n_positions\":32", "\"n_positions\":32,\"n_ctx\":32")
        .replace("\"eos_token_id\":null", "\"eos_token_id\":[0,1]");
    for config in [&old, &json.replace("n_positions", "n_ctx")] {
        let config = Gpt2Config::from_json(config).unwrap();
        let loaded = Gpt2::load(config, &bytes, Qkv::Fused).unwrap();
        assert_eq!(numbers(&logits(&loaded, &SEQUENCE)), numbers(&logits(&model, &SEQUENCE)));
    }
}

#[test]
fn a_head_may_be_tied_or_of_its_own() {
    let model = small_model(1);
    let mut with_head = tensors(&model);
    let head = (&with_head["transformer.wte.weight"] * 2.).unwrap();
    with_head.insert("lm_head.weight".into(), head);
    let tied = numbers(&logits(&load(&with_head, true).unwrap(), &SEQUENCE));
    assert_eq!(tied, numbers(&logits(&model, &SEQUENCE)));
    let untied = load(&with_head, false).unwrap();
    let worst =
        numbers(&logits(&untied, &SEQUENCE)).iter().zip(&tied).map(|(a, b)| (a - 2. * b).abs()).fold(0., f32::max);
    assert!(worst < 1e-5);
    assert_eq!(untied.parameters(), model.parameters() + 61 * 24);
    assert_eq!(load(&tensors(&model), false).err().map(|e| e.code()), Some("missing-tensor"));
}

#[test]
fn f16_and_bf16_are_read_as_the_numbers_they_hold() {
    let model = small_model(1);
    let f16 = safetensors::write_f16(&tensors(&model)).unwrap();
    let read = Gpt2::load(small_config(), &f16, Qkv::Fused).unwrap();
    for ((name, got), (_, want)) in read.named_tensors().iter().zip(model.named_tensors()) {
        for (got, want) in numbers(got).iter().zip(numbers(&want)) {
            assert_eq!(*got, half::f16::from_f32(want).to_f32(), "{name}");
        }
    }
    let header = r#"{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0x80, 0x3F, 0x20, 0xC0]); // 1.0 and −2.5
    let file = lora_lab::checkpoint::TensorFile::read(&bytes, "a file").unwrap();
    assert_eq!(numbers(file.get("x").unwrap()), [1., -2.5]);
}

/// Written to stderr itself, since the test runner captures eprintln!: `cargo xtask test` counts these lines.
#[cfg(not(target_arch = "wasm32"))]
fn say_skipped(path: &std::path::Path) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {} is missing", path.display());
}

/// Reads `../shared`; without it the test is listed as skipped, which CI forbids.
#[cfg(not(target_arch = "wasm32"))]
fn shared(path: &str) -> Option<std::path::PathBuf> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("LORA_LAB_REQUIRE_SHARED").is_none(), "{} is missing", path.display());
    say_skipped(&path);
    None
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_trained_checkpoint_gives_its_reference_logits_and_greedy_text() {
    use lora_lab::generate::{GenerateConfig, Generator};
    let Some(folder) = shared("models/proto-1m") else { return };
    let config = Gpt2Config::from_json(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    let model = Gpt2::load(config, &std::fs::read(folder.join("model.safetensors")).unwrap(), Qkv::Fused).unwrap();
    let reference = std::fs::read(folder.join("reference.safetensors")).unwrap();
    let reference = candle_core::safetensors::load_buffer(&reference, &Device::Cpu).unwrap();
    let input = ids(&reference["input_ids"]).remove(0);
    let got = logits(&model, &input);
    assert!(max_diff(&got, &reference["logits"].squeeze(0).unwrap()) < 1e-3);
    let want = ids(&reference["greedy_ids"]).remove(0);
    let settings =
        GenerateConfig { temperature: 0., max_tokens: want.len() - input.len(), ..GenerateConfig::default() };
    let mut generator = Generator::new(&input, settings, None, &model).unwrap();
    while generator.next(&model).unwrap().is_some() {}
    assert_eq!(generator.ids(), want);
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_llama_is_refused_by_its_name() {
    let Some(folder) = shared("models/stories260K") else { return };
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let error = Gpt2Config::from_json(&config).unwrap_err();
    assert_eq!(error.code(), "unsupported");
    assert!(error.to_string().contains("llama"), "{error}");
}
