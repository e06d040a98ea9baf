//! Runs belong to named adapters, a request names the adapter that answers, and a saved lab is restored completely.

mod common;

use common::*;
use lora_lab::Error;
use lora_lab::generate::GenerateConfig;
use lora_lab::lab::{CandidateOptions, DeltaOptions, Input, Lab, Voice};
use lora_lab::lora::{LoraConfig, Modules, Scaling};
use lora_lab::model::Qkv;
use lora_lab::train::TrainConfig;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test_configure!(run_in_dedicated_worker);

const SEQUENCE: [u32; 6] = [3, 14, 15, 9, 26, 53];

fn lab(qkv: Qkv) -> Lab {
    let (config, weights) = small_files(5);
    Lab::new(&config, &weights, None, qkv).unwrap()
}

fn lora(seed: u64) -> LoraConfig {
    LoraConfig { rank: 2, seed, dropout: 0.1, ..LoraConfig::default() }
}

fn text() -> Input {
    Input::Ids(small_text(400, 61, 1))
}

fn begin(lab: &mut Lab, adapter: &str) {
    lab.begin_training(Some(adapter), &text(), settings()).unwrap();
}

fn steps(lab: &mut Lab, count: usize) -> Vec<f64> {
    (0..count).map(|_| lab.step().unwrap().loss).collect()
}

fn values(lab: &mut Lab, adapter: &str) -> Vec<u8> {
    lab.export_adapter(Some(adapter)).unwrap().0
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("accepted", |error| error.code())
}

/// Adapters "a" and "b", both with a B that is not zero, "b" active.
fn two() -> Lab {
    let mut lab = lab(Qkv::Fused);
    for (name, seed) in [("a", 1), ("b", 2)] {
        lab.attach(name, &lora(seed)).unwrap();
        begin(&mut lab, name);
        steps(&mut lab, 2);
    }
    lab.end_training();
    lab
}

#[test]
fn a_run_trains_its_own_adapter_whatever_is_attached_selected_renamed_or_imported_meanwhile() {
    let mut alone = two();
    begin(&mut alone, "a");
    let want = steps(&mut alone, 8);

    let mut lab = two();
    let (b, file) = (values(&mut lab, "b"), lab.export_adapter(Some("b")).unwrap());
    begin(&mut lab, "a");
    let mut got = steps(&mut lab, 1);
    lab.select("b").unwrap();
    got.extend(steps(&mut lab, 1));
    lab.attach("c", &lora(3)).unwrap();
    got.extend(steps(&mut lab, 1));
    lab.import_adapter("d", &file.0, &file.1).unwrap();
    lab.set_enabled(false).unwrap();
    got.extend(steps(&mut lab, 1));
    lab.rename("a", "renamed").unwrap();
    assert_eq!(lab.position().unwrap().adapter.as_deref(), Some("renamed"));
    lab.set_strength(0.5).unwrap();
    got.extend(steps(&mut lab, 1));
    lab.remove("c").unwrap();
    lab.reset(Some("d")).unwrap();
    lab.merge(Some("b")).unwrap();
    assert_eq!(code(lab.step()), "merged");
    lab.unmerge().unwrap();
    got.extend(steps(&mut lab, 3));
    assert_eq!(got, want);
    assert_eq!(values(&mut lab, "renamed"), values(&mut alone, "a"));
    assert_eq!((values(&mut lab, "b"), values(&mut lab, "d")), (b.clone(), b));
}

#[test]
fn an_adapter_in_training_cannot_be_removed_until_its_run_has_ended() {
    let ended: [fn(&mut Lab); 4] =
        [|lab| drop(steps(lab, 6)), Lab::end_training, |lab| lab.reset(Some("a")).unwrap(), |lab| begin(lab, "b")];
    for end in ended {
        let mut lab = two();
        begin(&mut lab, "a");
        steps(&mut lab, 2);
        assert_eq!(code(lab.remove("a")), "in-use");
        lab.reset(Some("b")).unwrap();
        assert_eq!(code(lab.remove("a")), "in-use");
        end(&mut lab);
        lab.remove("a").unwrap();
        assert_eq!(code(lab.logits(&SEQUENCE, "a")), "no-adapter");
    }
}

#[test]
fn a_run_at_its_end_is_told_of_until_its_adapter_is_removed() {
    let mut lab = two();
    begin(&mut lab, "a");
    steps(&mut lab, 8);
    assert!(lab.is_training() && lab.evaluate().unwrap().is_some() && lab.save_state().is_ok());
    lab.remove("b").unwrap();
    assert!(lab.is_training());
    lab.remove("a").unwrap();
    assert!(!lab.is_training());
    assert_eq!(code(lab.evaluate()), "order");
    lab.end_training();
}

#[test]
fn a_refused_beginning_leaves_the_run_able_to_go_on_and_an_accepted_one_ends_it() {
    let mut alone = two();
    begin(&mut alone, "a");
    let want = steps(&mut alone, 4);
    let mut lab = two();
    begin(&mut lab, "a");
    let mut got = steps(&mut lab, 2);
    assert_eq!(code(lab.begin_training(Some("b"), &Input::Ids(vec![1; 5]), settings())), "too-short");
    assert_eq!(code(lab.begin_training(Some("nobody"), &text(), settings())), "no-adapter");
    assert_eq!(code(lab.begin_training(Some("b"), &text(), TrainConfig { steps: 0, ..settings() })), "config");
    assert_eq!(code(lab.resume(b"nothing")), "format");
    got.extend(steps(&mut lab, 2));
    assert_eq!(got, want);
    begin(&mut lab, "b");
    let position = lab.position().unwrap();
    assert_eq!((position.adapter.as_deref(), position.step), (Some("b"), 0));
}

#[test]
fn each_request_is_answered_by_the_voice_that_it_names_and_leaves_nothing_behind() {
    let mut lab = two();
    let ids = Input::Ids(SEQUENCE.to_vec());
    let only = |name: &str| {
        let mut lab = two();
        lab.remove(if name == "a" { "b" } else { "a" }).unwrap();
        lab.select(name).unwrap();
        lab
    };
    let (mut a, b, base) = (only("a"), only("b"), self::lab(Qkv::Fused));
    let want = [&a, &b, &base].map(|lab| lab.logits(&SEQUENCE, true).unwrap());
    let voices =
        |lab: &Lab| ["a".into(), "b".into(), Voice::Base].map(|voice: Voice| lab.logits(&SEQUENCE, voice).unwrap());
    assert_eq!(voices(&lab), want);
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), want[1], "the active one is the default");
    lab.set_enabled(false).unwrap();
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), want[2]);
    assert_eq!(voices(&lab), want, "a named one speaks, switched on or not");
    assert_eq!(lab.loss(&ids, "a").unwrap(), a.loss(&ids, true).unwrap());
    assert_eq!(lab.deltas(Some("a")).unwrap(), a.deltas(None).unwrap());
    let (layer, options) = ("transformer.h.1.mlp.c_fc", DeltaOptions::default());
    assert_eq!(lab.delta(layer, options, Some("a")).unwrap(), a.delta(layer, options, None).unwrap());
    let count = CandidateOptions { count: 4 };
    assert_eq!(lab.candidates(&ids, count, "a").unwrap(), a.candidates(&ids, count, true).unwrap());
    assert_eq!(lab.footprint(Some("a")).unwrap(), a.footprint(None).unwrap());
    begin(&mut lab, "b");
    steps(&mut lab, 1);
    assert_eq!(lab.logits(&SEQUENCE, "a").unwrap(), want[0], "training of another one is not heard");
    assert_eq!(code(lab.logits(&SEQUENCE, "c")), "no-adapter");
    lab.select("a").unwrap();
    lab.set_enabled(true).unwrap();
    assert_eq!(lab.logits(&SEQUENCE, true).unwrap(), want[0], "a refused request has left nothing behind");
}

#[test]
fn a_generation_keeps_its_voice_until_that_adapter_goes() {
    let write = |lab: &mut Lab, disturb: &mut dyn FnMut(&mut Lab, usize)| -> Vec<u32> {
        let settings = GenerateConfig { max_tokens: 8, seed: 7, stop_at_end: false, ..GenerateConfig::default() };
        lab.begin_generation(&Input::Ids(vec![3]), settings, "a").unwrap();
        let mut next = |at| {
            disturb(lab, at);
            lab.next_token().unwrap().id.unwrap()
        };
        (0..8).map(&mut next).collect()
    };
    let want = write(&mut two(), &mut |_, _| {});
    let mut disturb = |lab: &mut Lab, at: usize| match at {
        1 => lab.select("a").unwrap(),
        2 => lab.select("b").unwrap(),
        3 => lab.set_enabled(false).unwrap(),
        4 => lab.rename("a", "renamed").unwrap(),
        5 => lab.remove("b").unwrap(),
        _ => {}
    };
    assert_eq!(write(&mut two(), &mut disturb), want);
    for end in [|lab: &mut Lab| lab.remove("a").unwrap(), |lab: &mut Lab| lab.reset(Some("a")).unwrap()] {
        let mut lab = two();
        lab.begin_generation(&Input::Ids(vec![3]), GenerateConfig::default(), "a").unwrap();
        end(&mut lab);
        assert_eq!(code(lab.next_token()), "order");
    }
}

#[test]
fn while_an_adapter_is_merged_only_its_own_voice_is_heard() {
    let mut lab = two();
    let before = lab.logits(&SEQUENCE, "a").unwrap();
    begin(&mut lab, "a");
    lab.merge(Some("a")).unwrap();
    let merged = lab.logits(&SEQUENCE, "a").unwrap();
    assert!(before.iter().zip(&merged).all(|(a, b)| (a - b).abs() < 1e-4) && before != merged);
    assert_eq!(code(lab.logits(&SEQUENCE, true)), "merged", "the active one is b");
    assert_eq!(code(lab.logits(&SEQUENCE, "b")), "merged");
    assert_eq!(code(lab.loss(&text(), false)), "merged");
    assert_eq!(code(lab.begin_generation(&text(), GenerateConfig::default(), "b")), "merged");
    assert_eq!(code(lab.begin_training(Some("b"), &text(), settings())), "merged");
    assert_eq!(code(lab.step()), "merged");
    assert!(lab.evaluate().unwrap().is_some(), "the run is the merged adapter's");
    lab.rename("a", "renamed").unwrap();
    assert_eq!(lab.logits(&SEQUENCE, "renamed").unwrap(), merged);
    lab.unmerge().unwrap();
    assert_eq!(lab.logits(&SEQUENCE, "renamed").unwrap(), before);
    begin(&mut lab, "b");
    lab.merge(Some("renamed")).unwrap();
    assert_eq!(code(lab.evaluate()), "merged");
}

/// All that a lab's API returns, now and after further steps: two labs are equal if these bytes are.
fn told(lab: &mut Lab) -> Vec<String> {
    let mut told = Vec::new();
    let ids = Input::Ids(SEQUENCE.to_vec());
    let names: Vec<String> = lab.adapters().into_iter().map(|adapter| adapter.name).collect();
    told.push(format!("{:?} {:?} {}", lab.adapters(), lab.defaults(), lab.base_digest().unwrap()));
    let mut voices = vec![Voice::Active, Voice::Base];
    voices.extend(names.iter().map(|name| Voice::from(name.as_str())));
    let looks = |lab: &mut Lab, told: &mut Vec<String>| {
        for voice in &voices {
            told.push(format!(
                "{voice:?} {:?} {:?}",
                lab.logits(&SEQUENCE, voice.clone()).map_err(|e| e.code()),
                lab.loss(&ids, voice.clone()).ok()
            ));
        }
        for name in &names {
            told.push(format!("{:?} {:?}", lab.deltas(Some(name)).unwrap(), lab.export_adapter(Some(name)).unwrap()));
        }
        told.push(format!("{:?} {:?}", lab.footprint(None).ok(), lab.evaluate().map_err(|e| e.code())));
        let at = lab.position().map(|at| (at.adapter, at.step, at.sequences, at.held_out_windows));
        told.push(format!("{:?} {:?}", at.ok(), lab.values().ok()));
    };
    looks(lab, &mut told);
    if lab.is_merged() {
        lab.unmerge().unwrap();
        looks(lab, &mut told);
    }
    if lab.is_training() && lab.position().unwrap().step < 8 {
        told.push(format!("{:?}", (lab.step().unwrap(), lab.step().unwrap())));
        looks(lab, &mut told);
    }
    for name in &names {
        lab.reset(Some(name)).unwrap();
        told.push(format!("{name} {:?} {}", lab.export_adapter(Some(name)).unwrap(), lab.is_training()));
    }
    told
}

/// Names the first difference; the whole output would be too long to read.
fn same(what: &str, got: &[String], want: &[String]) {
    let first = got.iter().zip(want).position(|(got, want)| got != want);
    let short = |told: &[String], at: usize| told[at].chars().take(300).collect::<String>();
    let difference = first.map(|at| format!("answer {at}: {} for {}", short(got, at), short(want, at)));
    assert!(first.is_none() && got.len() == want.len(), "{what}: {difference:?}");
}

/// Saves, restores into a lab of the same files, and compares all that both tell.
fn restores(what: &str, mut saved: Lab, mut fresh: Lab) {
    let run = saved.is_training().then(|| saved.save_state().unwrap());
    let (adapters, defaults) = (saved.save_adapters().unwrap(), saved.defaults());
    fresh.restore(&adapters, &defaults, run.as_deref()).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(fresh.save_adapters().unwrap() == adapters, "{what}: saved again, it is the same");
    assert!(fresh.is_training().then(|| fresh.save_state().unwrap()) == run, "{what}: and so is its run");
    same(what, &told(&mut fresh), &told(&mut saved));
}

#[test]
fn restoring_is_the_inverse_of_saving_for_every_kind_of_lab() {
    let patterns = LoraConfig {
        rank_pattern: [("c_fc".to_owned(), 3)].into(),
        alpha_pattern: [("h.0.attn.c_proj".to_owned(), 2.)].into(),
        ..lora(4)
    };
    let head = Modules::List(vec!["c_proj".into(), "lm_head".into()]);
    let kinds = [
        ("PEFT's scaling", lora(4)),
        ("rsLoRA", LoraConfig { scaling: Scaling::SqrtRank, alpha: 5., ..lora(4) }),
        ("the textbook's scaling", LoraConfig { scaling: Scaling::Textbook, alpha: 8., ..lora(4) }),
        ("patterns", patterns),
        ("the head", LoraConfig { targets: head, layers_to_transform: None, ..lora(4) }),
        ("one block", LoraConfig { layers_to_transform: Some(vec![1]), ..lora(4) }),
    ];
    for (kind, config) in &kinds {
        for qkv in [Qkv::Fused, Qkv::Split] {
            for (state, taken) in [
                ("without a run", None),
                ("before its first step", Some(0)),
                ("in mid-run", Some(3)),
                ("at its end", Some(8)),
            ] {
                for merged in [false, true] {
                    let mut saved = lab(qkv);
                    saved.attach("a", config).unwrap();
                    begin(&mut saved, "a");
                    steps(&mut saved, 2);
                    saved.end_training();
                    saved.attach("b", &lora(9)).unwrap();
                    if let Some(taken) = taken {
                        begin(&mut saved, "a");
                        steps(&mut saved, taken);
                    }
                    saved.set_strength(0.75).unwrap();
                    saved.set_enabled(taken != Some(3)).unwrap();
                    if taken == Some(8) {
                        saved.select("a").unwrap();
                    }
                    if merged {
                        saved.merge(Some("a")).unwrap();
                    }
                    restores(&format!("{kind}, {qkv:?}, {state}, merged: {merged}"), saved, lab(qkv));
                }
            }
        }
    }
}

#[test]
fn an_imported_adapters_start_is_its_file_after_restoring_and_resuming_too() {
    let (safetensors, json) = two().export_adapter(Some("a")).unwrap();
    let imported = || {
        let mut lab = lab(Qkv::Fused);
        lab.import_adapter("mine", &safetensors, &json).unwrap();
        begin(&mut lab, "mine");
        steps(&mut lab, 3);
        lab
    };
    restores("imported", imported(), lab(Qkv::Fused));
    let mut resumed = lab(Qkv::Fused);
    let at = resumed.resume(&imported().save_state().unwrap()).unwrap();
    assert_eq!((at.adapter.as_deref(), at.step, at.steps), (Some("mine"), 3, 8));
    resumed.reset(None).unwrap();
    assert_eq!(values(&mut resumed, "mine"), safetensors);
}

#[test]
fn what_separate_q_k_v_export_they_import_again_and_an_adapter_of_the_fused_c_attn_says_the_same_there() {
    for (trained_on, imported_into) in [(Qkv::Split, Qkv::Split), (Qkv::Split, Qkv::Fused), (Qkv::Fused, Qkv::Split)] {
        let mut lab = lab(trained_on);
        lab.attach("a", &lora(4)).unwrap();
        begin(&mut lab, "a");
        steps(&mut lab, 3);
        let (want, files) = (lab.logits(&SEQUENCE, "a").unwrap(), lab.export_adapter(Some("a")).unwrap());
        let mut other = self::lab(imported_into);
        other.import_adapter("b", &files.0, &files.1).unwrap();
        let got = other.logits(&SEQUENCE, "b").unwrap();
        let worst = want.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
        assert!(worst < 1e-4, "{trained_on:?} into {imported_into:?}: {worst}");
        assert_eq!(
            (trained_on == imported_into).then(|| values(&mut other, "b")),
            (trained_on == imported_into).then_some(files.0)
        );
        restores("imported into the other kind", other, self::lab(imported_into));
    }
}

#[test]
fn a_lab_without_adapters_and_one_for_full_fine_tuning_are_restored_too() {
    restores("empty", lab(Qkv::Fused), lab(Qkv::Fused));
    let full = || {
        let (config, weights) = small_files(5);
        Lab::new_full(&config, &weights, None, Qkv::Fused).unwrap()
    };
    for (taken, ended) in [(0, false), (3, false), (3, true), (8, false), (8, true)] {
        let mut saved = full();
        saved.begin_training(None, &text(), settings()).unwrap();
        steps(&mut saved, taken);
        if ended {
            saved.end_training();
        }
        // Twice: what was restored has to be saved again.
        let mut again = full();
        let run = saved.is_training().then(|| saved.save_state().unwrap());
        again.restore(&saved.save_adapters().unwrap(), &saved.defaults(), run.as_deref()).unwrap();
        let mut third = full();
        let run = again.is_training().then(|| again.save_state().unwrap());
        third.restore(&again.save_adapters().unwrap(), &again.defaults(), run.as_deref()).unwrap();
        assert_eq!(third.base_digest().unwrap(), saved.base_digest().unwrap(), "{taken} steps, ended: {ended}");
        restores(&format!("full fine-tuning, {taken} steps, ended: {ended}"), saved, full());
    }
}

#[test]
fn what_cannot_be_restored_is_refused_and_leaves_the_lab_as_it_was_loaded() {
    let mut saved = two();
    begin(&mut saved, "a");
    steps(&mut saved, 2);
    let (adapters, defaults, run) = (saved.save_adapters().unwrap(), saved.defaults(), saved.save_state().unwrap());
    let nobody = lora_lab::lab::Defaults { active: Some("nobody".into()), ..defaults.clone() };
    let mut other = {
        let (config, weights) = small_files(6);
        Lab::new(&config, &weights, None, Qkv::Fused).unwrap()
    };
    assert_eq!(code(other.restore(&adapters, &defaults, None)), "other-base");
    let mut fresh = lab(Qkv::Fused);
    let want = told(&mut lab(Qkv::Fused));
    assert_eq!(code(fresh.restore(&adapters[..adapters.len() - 1], &defaults, None)), "format");
    assert_eq!(code(fresh.restore(&adapters, &nobody, Some(&run))), "no-adapter");
    assert_eq!(code(fresh.restore(&adapters, &defaults, Some(&run[1..]))), "format");
    assert_eq!(
        code(lab(Qkv::Split).restore(&adapters, &defaults, None)),
        "other-base",
        "its weights are cut otherwise"
    );
    same("refused", &told(&mut fresh), &want);
    fresh.restore(&adapters, &defaults, Some(&run)).unwrap();
    assert_eq!(code(fresh.restore(&adapters, &defaults, None)), "order");
    same("restored at last", &told(&mut fresh), &told(&mut saved));
}
