//! Full fine-tuning: the base's own weights train, and the memory that this takes is reported.

mod common;

use common::*;
use lora_lab::Error;
use lora_lab::lab::{Input, Lab};
use lora_lab::lora::LoraConfig;
use lora_lab::model::{Gpt2, Qkv};
use lora_lab::train::{AdamW, AdamWConfig, Step, TrainConfig};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn begun(mut lab: Lab, steps: usize) -> Lab {
    let settings = TrainConfig { steps, ..settings() };
    lab.begin_training(None, &Input::Ids(small_text(600, 61, 4)), settings).unwrap();
    lab
}

fn full_over(steps: usize) -> Lab {
    let (config, weights) = small_files(2);
    begun(Lab::new_full(&config, &weights, None, Qkv::Fused).unwrap(), steps)
}

fn full() -> Lab {
    full_over(8)
}

fn adapted() -> Lab {
    let (config, weights) = small_files(2);
    let mut lab = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
    lab.attach("default", &LoraConfig::default()).unwrap();
    begun(lab, 8)
}

fn steps(lab: &mut Lab, count: usize) -> Vec<Step> {
    (0..count).map(|_| lab.step().unwrap()).collect()
}

#[test]
fn the_loss_falls_and_the_base_changes() {
    let mut lab = full_over(60);
    let (before, digest) = (lab.evaluate().unwrap().unwrap(), lab.base_digest().unwrap());
    steps(&mut lab, 60);
    let after = lab.evaluate().unwrap().unwrap();
    assert!(after < 0.9 * before, "{before} → {after}");
    assert_ne!(lab.base_digest().unwrap(), digest);
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit_on_a_fresh_model_and_on_a_trained_one() {
    let (mut whole, mut trained) = (full(), full());
    let all = steps(&mut whole, 8);
    steps(&mut trained, 3);
    let saved = trained.save_state().unwrap();
    steps(&mut trained, 1);
    for mut lab in [full(), trained] {
        let at = lab.resume(&saved).unwrap();
        assert_eq!((at.step, at.steps), (3, 8));
        assert_eq!(steps(&mut lab, 5), all[3..]);
        assert_eq!(lab.base_digest().unwrap(), whole.base_digest().unwrap());
    }
}

#[test]
fn a_footprint_is_what_the_optimizer_holds() {
    let (full, mut adapted) = (full().footprint(None).unwrap(), adapted());
    let adapter = adapted.footprint(None).unwrap();
    assert_eq!(full.trainable, adapted.info().unwrap().parameters);
    assert_eq!(adapter.trainable, adapted.adapters()[0].trainable);
    for of in [full, adapter] {
        assert_eq!((of.gradient_bytes, of.optimizer_bytes), (4 * of.trainable, 8 * of.trainable));
    }
    let (model, vars) = Gpt2::load_trainable(small_config(), &small_files(2).1).unwrap();
    let optimizer = AdamW::new(vars.into_iter().map(|(_, var)| var).collect(), AdamWConfig::default()).unwrap();
    let (moments, _) = optimizer.state();
    assert_eq!(moments.map(<[f32]>::len), [model.parameters(); 2]);
}

#[test]
fn it_reads_like_the_same_model_frozen() {
    let (config, weights) = small_files(2);
    let frozen = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
    let (got, want) = (full().logits(&[1, 2, 3], true).unwrap(), frozen.logits(&[1, 2, 3], true).unwrap());
    assert_eq!(got, want);
    assert_eq!(full().base_digest().unwrap(), frozen.base_digest().unwrap());
}

#[test]
fn there_are_no_adapters_and_neither_kind_of_run_resumes_as_the_other() {
    let (mut full, mut adapted) = (full(), adapted());
    let code = |result: Result<(), Error>| result.err().map(|e| e.code());
    assert_eq!(code(full.attach("default", &LoraConfig::default()).map(drop)), Some("unsupported"));
    assert_eq!(code(full.import_adapter("default", &[], "{}").map(drop)), Some("unsupported"));
    assert_eq!(code(full.reset(None)), Some("unsupported"));
    let digest = full.base_digest().unwrap();
    assert_eq!(code(full.resume(&adapted.save_state().unwrap()).map(drop)), Some("unsupported"));
    assert_eq!(code(adapted.resume(&full.save_state().unwrap()).map(drop)), Some("unsupported"));
    assert_eq!(full.base_digest().unwrap(), digest);
    let (config, weights) = small_files(2);
    assert_eq!(code(Lab::new_full(&config, &weights, None, Qkv::Split).map(drop)), Some("unsupported"));
}
