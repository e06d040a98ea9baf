//! Replacing, switching, merging and naming adapters.

mod common;

use candle_core::{Device, Tensor};
use common::*;
use lora_lab::checkpoint::Gpt2Config;
use lora_lab::generate::GenerateConfig;
use lora_lab::lab::{Input, Lab};
use lora_lab::lora::{LoraConfig, LoraLayer, Modules, Scaling, plan, replace_linear_with_lora};
use lora_lab::model::{CausalLm, Gpt2, Head, Qkv};
use lora_lab::rng::Rng;
use lora_lab::train::TrainConfig;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn lab() -> Lab {
    let (config, weights) = small_files(5);
    Lab::new(&config, &weights, None, Qkv::Fused).unwrap()
}

/// A lab whose active adapter "default" has trained for some steps.
fn trained() -> Lab {
    let mut lab = lab();
    lab.attach("default", &LoraConfig::default()).unwrap();
    train(&mut lab, 3);
    lab
}

fn train(lab: &mut Lab, steps: usize) {
    let settings = TrainConfig {
        steps,
        batch_size: 2,
        block_size: 16,
        learning_rate: 2e-2,
        warmup_steps: 0,
        ..TrainConfig::default()
    };
    lab.begin_training(None, &Input::Ids(small_text(400, 61, 1)), settings).unwrap();
    for _ in 0..steps {
        lab.step().unwrap();
    }
}

const SEQUENCE: [u32; 6] = [3, 14, 15, 9, 26, 53];

#[test]
fn the_textbooks_gpt2_small_has_its_numbers_of_parameters() {
    let config = Gpt2Config::new(50_257, 1024, 768, 12, 12);
    let mut model = Gpt2::shapes(config, Head::Classes(2), Qkv::Split).unwrap();
    assert_eq!(model.parameters(), 124_441_346);
    let adapter = replace_linear_with_lora(&mut model, &LoraConfig::textbook(16, 16.), &mut Rng::new(123)).unwrap();
    assert_eq!(adapter.parameters(), 2_666_528);
    // Six linear layers in each of twelve blocks, and the head.
    assert_eq!(adapter.layers().len(), 6 * 12 + 1);
    assert_eq!(model.parameters(), 124_441_346);
}

#[test]
fn a_new_adapter_does_not_change_the_output() {
    for scaling in [Scaling::Rank, Scaling::SqrtRank, Scaling::Textbook] {
        let mut model = small_model(1);
        let before = logits(&model, &SEQUENCE);
        let config = LoraConfig { scaling, targets: Modules::Pattern(".*".into()), ..LoraConfig::default() };
        replace_linear_with_lora(&mut model, &config, &mut Rng::new(2)).unwrap();
        assert_eq!(numbers(&before), numbers(&logits(&model, &SEQUENCE)));
    }
}

#[test]
fn the_textbooks_layer_is_alpha_times_x_a_b() {
    let (inputs, outputs, rank, alpha) = (5, 7, 3, 2.5);
    let layer = LoraLayer::new(inputs, outputs, rank, alpha, &mut Rng::new(1)).unwrap();
    let bound = 1. / (rank as f32).sqrt();
    let a = numbers(layer.a.as_tensor());
    assert!(a.iter().all(|x| x.abs() <= bound) && a.iter().any(|x| x.abs() > 0.5 * bound));
    assert!(numbers(layer.b.as_tensor()).iter().all(|&x| x == 0.));
    let b: Vec<f32> = (0..rank * outputs).map(|i| i as f32 / 10. - 1.).collect();
    layer.b.set(&Tensor::from_slice(&b, (rank, outputs), &Device::Cpu).unwrap()).unwrap();
    let x: Vec<f32> = (0..2 * inputs).map(|i| (i as f32).sin()).collect();
    let got = numbers(&layer.forward(&Tensor::from_slice(&x, (2, inputs), &Device::Cpu).unwrap()).unwrap().detach());
    for row in 0..2 {
        for o in 0..outputs {
            let hidden = |r: usize| (0..inputs).map(|i| x[row * inputs + i] * a[i * rank + r]).sum::<f32>();
            let want = alpha as f32 * (0..rank).map(|r| hidden(r) * b[r * outputs + o]).sum::<f32>();
            assert!((got[row * outputs + o] - want).abs() < 1e-5);
        }
    }
    assert_eq!(LoraLayer::new(5, 7, 0, 1., &mut Rng::new(1)).err().map(|e| e.code()), Some("config"));
}

#[test]
fn the_start_is_drawn_as_pefts_or_as_the_textbooks() {
    for (scaling, bound) in [(Scaling::Rank, 1. / 24f32.sqrt()), (Scaling::Textbook, 1. / 2f32.sqrt())] {
        let mut model = small_model(1);
        let targets = Modules::List(vec!["c_attn".into()]);
        let config = LoraConfig { rank: 2, scaling, targets, ..LoraConfig::default() };
        let adapter = replace_linear_with_lora(&mut model, &config, &mut Rng::new(3)).unwrap();
        for layer in adapter.layers().values() {
            let largest = numbers(layer.a.as_tensor()).iter().fold(0f32, |worst, x| worst.max(x.abs()));
            assert!(largest <= bound && largest > 0.8 * bound, "{scaling:?}: {largest} for {bound}");
        }
    }
}

#[test]
fn a_layers_start_does_not_depend_on_which_others_train() {
    let start = |targets: &[&str]| {
        let targets = Modules::List(targets.iter().map(|&t| t.into()).collect());
        let config = LoraConfig { targets, ..LoraConfig::default() };
        let adapter = replace_linear_with_lora(&mut small_model(1), &config, &mut Rng::new(3)).unwrap();
        numbers(adapter.layers()["transformer.h.1.mlp.c_fc"].a.as_tensor())
    };
    assert_eq!(start(&["c_fc"]), start(&["c_attn", "c_fc"]));
}

#[test]
fn merging_gives_the_same_logits_and_unmerging_restores_the_base_bit_for_bit() {
    let mut lab = trained();
    let digest = lab.base_digest().unwrap();
    let before = lab.logits(&SEQUENCE, true).unwrap();
    lab.merge(None).unwrap();
    assert_ne!(lab.base_digest().unwrap(), digest);
    let merged = lab.logits(&SEQUENCE, true).unwrap();
    assert!(before.iter().zip(&merged).all(|(a, b)| (a - b).abs() < 1e-4));
    for refused in [lab.merge(None).err(), lab.step().err(), lab.remove("default").err(), lab.select("default").err()] {
        assert_eq!(refused.map(|e| e.code()), Some("merged"));
    }
    lab.unmerge().unwrap();
    assert_eq!(lab.base_digest().unwrap(), digest);
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), before);
    assert_eq!(lab.unmerge().err().map(|e| e.code()), Some("order"));
}

#[test]
fn a_state_saved_while_merged_resumes_and_nothing_merges_while_switched_off() {
    let mut lab = trained();
    lab.merge(None).unwrap();
    assert_eq!(lab.set_enabled(false).err().map(|e| e.code()), Some("merged"));
    let alone = GenerateConfig::default();
    assert_eq!(lab.begin_generation(&Input::Ids(vec![1]), alone, false).err().map(|e| e.code()), Some("merged"));
    let saved = lab.save_state().unwrap();
    lab.unmerge().unwrap();
    assert_eq!(lab.resume(&saved).unwrap().step, 3);
    lab.set_enabled(false).unwrap();
    assert_eq!(lab.merge(None).err().map(|e| e.code()), Some("order"));
}

#[test]
fn the_first_pattern_that_matches_counts_as_in_peft() {
    let json = r#"{"peft_type":"LORA","target_modules":["c_proj"],"r":4,"rank_pattern":{"mlp.c_proj":2,"c_proj":3}}"#;
    let read = lora_lab::lora::peft::read_config(json).unwrap();
    let planned = plan(&mut small_model(1), &read).unwrap();
    let ranks: Vec<usize> = planned.layers.iter().map(|layer| layer.rank).collect();
    assert_eq!(ranks, [3, 2, 3, 2]);
    let greedy = r#"{"peft_type":"LORA","target_modules":["c_proj"],"r":60000}"#;
    let error = plan(&mut small_model(1), &lora_lab::lora::peft::read_config(greedy).unwrap()).unwrap_err();
    assert_eq!(error.code(), "config");
    let pissa = r#"{"peft_type":"LORA","target_modules":["c_proj"],"init_lora_weights":"pissa"}"#;
    assert_eq!(lora_lab::lora::peft::read_config(pissa).err().map(|e| e.code()), Some("unsupported"));
}

#[test]
fn reset_of_an_imported_adapter_brings_its_file_back() {
    let (safetensors, json) = trained().export_adapter(None).unwrap();
    let mut lab = lab();
    lab.import_adapter("mine", &safetensors, &json).unwrap();
    let want = lab.logits(&SEQUENCE, true).unwrap();
    train(&mut lab, 2);
    assert_ne!(lab.logits(&SEQUENCE, true).unwrap(), want);
    lab.reset(None).unwrap();
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), want);
}

#[test]
fn switched_off_or_at_strength_zero_the_model_is_the_base() {
    let base = lab().logits(&SEQUENCE, true).unwrap();
    let mut lab = trained();
    let adapted = lab.logits(&SEQUENCE, true).unwrap();
    assert_ne!(adapted, base);
    lab.set_enabled(false).unwrap();
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), base);
    lab.set_enabled(true).unwrap();
    lab.set_strength(0.).unwrap();
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), base);
    lab.set_strength(2.).unwrap();
    assert_ne!(lab.logits(&SEQUENCE, true).unwrap(), adapted);
    lab.set_strength(1.).unwrap();
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), adapted);
    assert_eq!(lab.set_strength(f64::NAN).err().map(|e| e.code()), Some("config"));
}

#[test]
fn several_adapters_share_one_base_and_are_swapped() {
    let mut lab = trained();
    let first = lab.logits(&SEQUENCE, true).unwrap();
    let targets = Modules::List(vec!["c_attn".into(), "lm_head".into()]);
    lab.attach("second", &LoraConfig { targets, rank: 2, seed: 9, ..LoraConfig::default() }).unwrap();
    train(&mut lab, 2);
    let second = lab.logits(&SEQUENCE, true).unwrap();
    assert_ne!(first, second);
    lab.select("default").unwrap();
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), first);
    lab.rename("second", "other").unwrap();
    lab.select("other").unwrap();
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), second);
    assert_eq!(lab.rename("other", "default").err().map(|e| e.code()), Some("adapter-exists"));
    assert_eq!(lab.select("second").err().map(|e| e.code()), Some("no-adapter"));
    assert_eq!(lab.attach("other", &LoraConfig::default()).err().map(|e| e.code()), Some("adapter-exists"));
    lab.remove("default").unwrap();
    let names: Vec<_> = lab.adapters().into_iter().map(|a| (a.name, a.active)).collect();
    assert_eq!(names, [("other".to_owned(), true)]);
    lab.remove("other").unwrap();
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), self::lab().logits(&SEQUENCE, true).unwrap());
}

#[test]
fn an_exported_adapter_imports_to_the_same_logits() {
    for scaling in [Scaling::Rank, Scaling::SqrtRank, Scaling::Textbook] {
        let mut lab = lab();
        let config = LoraConfig {
            scaling,
            rank_pattern: [("mlp.c_proj".to_owned(), 3)].into(),
            targets: Modules::Pattern(r".*\.(c_attn|c_proj)".into()),
            ..LoraConfig::default()
        };
        lab.attach("default", &config).unwrap();
        train(&mut lab, 2);
        let want = lab.logits(&SEQUENCE, true).unwrap();
        let (safetensors, json) = lab.export_adapter(None).unwrap();
        let mut fresh = self::lab();
        fresh.import_adapter("again", &safetensors, &json).unwrap();
        let got = fresh.logits(&SEQUENCE, true).unwrap();
        let worst = want.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
        assert!(worst <= 1e-6, "{scaling:?}: {worst}");
    }
}

#[test]
fn separate_q_k_v_export_to_the_fused_layer_exactly() {
    for (scaling, targets) in [
        (Scaling::Textbook, vec!["W_query", "W_key", "W_value", "c_fc"]),
        (Scaling::Rank, vec!["W_query", "W_value"]),
        (Scaling::SqrtRank, vec!["W_key"]),
    ] {
        let (config, weights) = small_files(5);
        let mut split = Lab::new(&config, &weights, None, Qkv::Split).unwrap();
        let targets = Modules::List(targets.iter().map(|&t| t.into()).collect());
        split.attach("default", &LoraConfig { rank: 4, scaling, targets, ..LoraConfig::default() }).unwrap();
        train(&mut split, 2);
        let want = split.logits(&SEQUENCE, true).unwrap();
        let (safetensors, json) = split.export_adapter(None).unwrap();
        let mut fused = lab();
        fused.import_adapter("fused", &safetensors, &json).unwrap();
        assert!(fused.adapters()[0].layers > 0);
        let worst =
            want.iter().zip(fused.logits(&SEQUENCE, true).unwrap()).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
        assert!(worst < 1e-5, "{scaling:?}: {worst}");
    }
}

#[test]
fn reset_goes_back_to_the_first_loss() {
    let mut lab = lab();
    lab.attach("default", &LoraConfig { seed: 4, ..LoraConfig::default() }).unwrap();
    let (start, _) = lab.export_adapter(None).unwrap();
    train(&mut lab, 3);
    assert_ne!(lab.export_adapter(None).unwrap().0, start);
    lab.reset(None).unwrap();
    assert_eq!(lab.export_adapter(None).unwrap().0, start);
    assert!(!lab.is_training());
}

#[test]
fn generation_without_the_adapter_is_the_bases_token_for_token() {
    let write = |lab: &mut Lab, adapter: bool| {
        let settings = GenerateConfig { max_tokens: 40, seed: 7, ..GenerateConfig::default() };
        lab.begin_generation(&Input::Ids(SEQUENCE.to_vec()), settings, adapter).unwrap();
        std::iter::from_fn(|| lab.next_token().ok().and_then(|t| t.id)).collect::<Vec<_>>()
    };
    let base = write(&mut lab(), true);
    assert_eq!(base.len(), 40); // past the context of 32
    let mut lab = trained();
    assert_eq!(write(&mut lab, false), base);
    assert_ne!(write(&mut lab, true), base);
    assert_eq!(write(&mut lab, true), write(&mut lab, true));
}

#[test]
fn a_plan_counts_without_changing_anything() {
    let mut lab = lab();
    let before = lab.logits(&SEQUENCE, true).unwrap();
    let planned = lab.plan(&LoraConfig { rank: 4, ..LoraConfig::default() }).unwrap();
    assert_eq!(planned.trainable, 2 * 4 * ((24 + 72) + (24 + 24) + (24 + 96) + (96 + 24)));
    assert_eq!(planned.layers.len(), 8);
    assert!(lab.adapters().is_empty());
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), before);
    let nothing = LoraConfig { targets: Modules::List(vec!["q_proj".into()]), ..LoraConfig::default() };
    let error = lab.plan(&nothing).unwrap_err();
    assert_eq!(error.code(), "no-target");
    assert!(error.to_string().contains("c_attn"), "{error}");
}

#[test]
fn flipping_one_bit_of_one_weight_changes_the_digest() {
    let (config, mut weights) = small_files(5);
    let digest = |weights: &[u8]| Lab::new(&config, weights, None, Qkv::Fused).unwrap().base_digest().unwrap();
    let before = digest(&weights);
    assert_eq!(before, digest(&weights));
    let last = weights.len() - 4;
    weights[last] ^= 1;
    assert_ne!(digest(&weights), before);
}

#[test]
fn targets_that_match_nothing_leave_the_model_alone() {
    let mut model = small_model(1);
    let nothing = LoraConfig { targets: Modules::Pattern("nothing".into()), ..LoraConfig::default() };
    assert!(replace_linear_with_lora(&mut model, &nothing, &mut Rng::new(0)).is_err());
    assert_eq!(plan(&mut model, &LoraConfig::default()).unwrap().layers.len(), 8);
    assert_eq!(model.named_tensors().len(), small_model(1).named_tensors().len());
}
