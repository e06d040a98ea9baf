//! Against PyTorch and PEFT: logits, losses, gradients, adapters, merged weights.
//!
//! Shapes, counts and settings come from the oracle's files alone; `LORA_LAB_ORACLE` names another
//! directory of the same layout.

mod common;

use candle_core::{Device, IndexOp, Tensor};
use common::*;
use lora_lab::checkpoint::Gpt2Config;
use lora_lab::generate::{GenerateConfig, Generator};
use lora_lab::lora::{self, Adapter, LoraConfig, Modules, Scaling, peft, replace_linear_with_lora};
use lora_lab::model::{CausalLm, Gpt2, Qkv};
use lora_lab::nn::Pass;
use lora_lab::rng::Rng;
use lora_lab::train::{Schedule, TokenData, TrainConfig, Trainer};
use serde_json::Value;
use std::collections::HashMap;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test_configure!(run_in_dedicated_worker);

// Fused multiply-add rounds once where the reference rounds twice; the build that has it may differ ten times as much.
const SLACK: f32 = if cfg!(target_feature = "relaxed-simd") { 10. } else { 1. };
const LOSS: f32 = 1e-5 * SLACK;
const GRADIENT: f32 = 5e-6 * SLACK;
const VALUE: f32 = 1e-4 * SLACK;

fn assert_near(got: &Tensor, want: &Tensor, tolerance: f32, what: &str) {
    let diff = max_diff(got, want);
    assert!(diff <= tolerance, "{what}: {diff:e} is more than {tolerance:e}");
}

fn batch_logits(model: &Gpt2, ids: &Tensor) -> Tensor {
    let ids = ids.to_dtype(candle_core::DType::U32).unwrap();
    model.forward(&ids, &mut Pass::default()).unwrap().detach()
}

/// A variant of the oracle with its adapter on the base, as it was before the first step.
struct Variant {
    name: &'static str,
    model: Gpt2,
    adapter: Adapter,
    trace: HashMap<String, Tensor>,
    reference: Value,
}

impl Variant {
    fn new(name: &'static str) -> Self {
        let reference = oracle_json("reference.json")["variants"][name].clone();
        assert!(reference.is_object(), "reference.json has no variant {name}");
        let mut model = oracle_base();
        let peft = reference.get("config").is_some();
        let config = if peft {
            peft::read_config(&oracle_text(&format!("{name}/init/adapter_config.json"))).unwrap()
        } else {
            let names = reference["targets"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned());
            LoraConfig {
                rank: reference["rank"].as_u64().unwrap() as usize,
                alpha: reference["alpha"].as_f64().unwrap(),
                scaling: Scaling::Textbook,
                targets: Modules::List(names.collect()),
                ..LoraConfig::default()
            }
        };
        let adapter = replace_linear_with_lora(&mut model, &config, &mut Rng::new(0)).unwrap();
        let trace = oracle_tensors(&format!("{name}/trace.safetensors"));
        let variant = Self { name, model, adapter, trace, reference };
        variant.load("init");
        variant
    }

    fn is_peft(&self) -> bool {
        self.reference.get("config").is_some()
    }

    /// Loads the adapter as it was at the start (`init`) or the end (`final`).
    fn load(&self, moment: &str) {
        if self.is_peft() {
            self.adapter
                .load_safetensors(&oracle(&format!("{}/{moment}/adapter_model.safetensors", self.name)))
                .unwrap();
            return;
        }
        let tensors = oracle_tensors(&format!("{}/{moment}.safetensors", self.name));
        for (path, layer) in self.adapter.layers() {
            let bare = path.trim_start_matches("transformer.");
            layer.a.set(&tensors[&format!("{bare}.lora.A")]).unwrap();
            layer.b.set(&tensors[&format!("{bare}.lora.B")]).unwrap();
        }
    }

    /// What the oracle recorded for each variable under `prefix`, in our order and orientation.
    fn recorded(&self, prefix: &str, tensors: &HashMap<String, Tensor>) -> Vec<Tensor> {
        let find = |name: String, transposed: bool| {
            let tensor = tensors.get(&name).unwrap_or_else(|| panic!("{}: no {name}", self.name));
            if transposed { tensor.t().unwrap().contiguous().unwrap() } else { tensor.clone() }
        };
        let mut all = Vec::new();
        for path in self.adapter.layers().keys() {
            if self.is_peft() {
                all.extend(peft::tensor_names(path).map(|name| find(format!("{prefix}{name}"), true)));
            } else {
                let bare = path.trim_start_matches("transformer.");
                all.extend(["A", "B"].map(|matrix| find(format!("{prefix}{bare}.lora.{matrix}"), false)));
            }
        }
        all
    }

    fn assert_adapter(&self, want: &[Tensor], what: &str) {
        for ((name, var), want) in self.adapter.named_vars().zip(want) {
            assert_near(&var.as_tensor().detach(), want, VALUE, &format!("{}: {name} {what}", self.name));
        }
    }

    fn check(self) {
        let Self { name, model, adapter, trace, reference } = &self;
        let io = oracle_tensors("base_io.safetensors");
        let input = &io["input_ids"];
        assert_eq!(adapter.parameters() as u64, reference["n_trainable"].as_u64().unwrap());
        if let Some(modules) = reference["modules"].as_object() {
            assert_eq!(adapter.layers().len(), modules.len());
            for (path, layer) in adapter.layers() {
                assert_eq!(layer.rank() as u64, modules[path]["r"].as_u64().unwrap(), "{name} {path}");
                assert!((layer.scaling() - modules[path]["scaling"].as_f64().unwrap()).abs() < 1e-12, "{name} {path}");
            }
        }
        assert_near(&batch_logits(model, input), &trace["logits_init"], VALUE, &format!("{name}: logits before"));

        let batches = &io["batches"];
        let (count, size, time) = batches.dims3().unwrap();
        let settings = oracle_json("reference.json");
        let optimizer = &settings["optimizer"];
        let number = |value: &Value| value.as_f64().unwrap();
        let config = TrainConfig {
            steps: settings["steps"].as_u64().unwrap() as usize,
            batch_size: size,
            block_size: time - 1,
            learning_rate: number(&optimizer["lr"]),
            schedule: Schedule::Constant,
            warmup_steps: 0,
            beta1: number(&optimizer["betas"][0]),
            beta2: number(&optimizer["betas"][1]),
            epsilon: number(&optimizer["eps"]),
            weight_decay: number(&optimizer["weight_decay"]),
            gradient_clip: 0.,
            evaluate_every: 0,
            ..TrainConfig::default()
        };
        let steps = config.steps;
        let text = ids(batches).concat();
        let data = TokenData::split(text.clone(), text.len(), time - 1, model.vocabulary()).unwrap();
        let mut trainer =
            Trainer::with_data(adapter.vars().cloned().collect(), data.clone(), config.clone(), model).unwrap();
        // The second half of each batch is computed by another worker, which has a model of its own.
        let other = Self::new(name);
        let mut helper =
            Trainer::with_data(other.adapter.vars().cloned().collect(), data, config, &other.model).unwrap();
        let losses = reference["losses"].as_array().unwrap();
        assert_eq!(losses.len(), steps);
        for (step, want) in losses.iter().enumerate() {
            let rows = ids(&batches.i(step % count).unwrap());
            helper.follow(step, &trainer.optimizer().values().unwrap()).unwrap();
            let one = |(i, row): (usize, &Vec<u32>)| {
                let (trainer, model) = if 2 * i < size { (&trainer, model) } else { (&helper, &other.model) };
                trainer.gradients_of(model, row, size * (time - 1), None).unwrap()
            };
            let gradients: Vec<_> = rows.iter().enumerate().map(one).collect();
            if step < 2 {
                let mut sum = vec![0f64; trainer.optimizer().parameters()];
                for part in &gradients {
                    sum.iter_mut().zip(&part.values).for_each(|(sum, &x)| *sum += f64::from(x));
                }
                let want: Vec<f32> =
                    self.recorded(&format!("grad_step{}.", step + 1), trace).iter().flat_map(numbers).collect();
                assert_eq!(sum.len(), want.len());
                let worst = sum.iter().zip(&want).map(|(got, &want)| (got - f64::from(want)).abs()).fold(0., f64::max);
                assert!(worst <= f64::from(GRADIENT), "{name}: gradients of step {}: {worst:e}", step + 1);
                assert!(sum.iter().any(|x| x.abs() > 1e-4), "{name}: all gradients are near zero");
            }
            let done = trainer.apply(model, &gradients).unwrap();
            let diff = (done.loss - number(want)).abs();
            assert!(diff <= f64::from(LOSS), "{name}: loss of step {}: {diff:e}", step + 1);
            if step == 0 {
                self.assert_adapter(&self.recorded("after_step1.", trace), "after step 1");
            }
        }
        let ended = match self.is_peft() {
            true => format!("{name}/final/adapter_model.safetensors"),
            false => format!("{name}/final.safetensors"),
        };
        self.assert_adapter(&self.recorded("", &oracle_tensors(&ended)), "at the end");
        assert_near(&batch_logits(model, input), &trace["logits_final"], VALUE, &format!("{name}: logits after"));
        self.check_merged(input);
    }

    /// Merged weights where the oracle has them, else merged logits.
    fn check_merged(mut self, input: &Tensor) {
        self.load("final");
        let Self { name, model, trace, .. } = &mut self;
        lora::merge(model).unwrap();
        let merged: HashMap<_, _> = model.named_tensors().into_iter().collect();
        if oracle_file(&format!("{name}/merged_changed.safetensors")).is_some() {
            let want = oracle_tensors(&format!("{name}/merged_changed.safetensors"));
            assert!(!want.is_empty());
            for (tensor, want) in want {
                assert_near(&merged[&tensor], &want, VALUE, &format!("{name}: merged {tensor}"));
            }
        } else {
            let want = trace.get("logits_merged").unwrap_or(&trace["logits_final"]);
            assert_near(&batch_logits(model, input), want, VALUE, &format!("{name}: logits merged"));
        }
        lora::unmerge(model).unwrap();
        for ((tensor, got), (_, want)) in model.named_tensors().iter().zip(oracle_base().named_tensors()) {
            assert_eq!(numbers(got), numbers(&want), "{name}: {tensor} unmerged");
        }
    }
}

macro_rules! variants {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test] fn $test() { Variant::new($name).check(); })*
    };
}

variants! {
    a_default_adapter_trains_as_in_peft: "default",
    an_adapter_with_random_b_trains_as_in_peft: "default_randb",
    rslora_trains_as_in_peft: "rslora",
    rank_and_alpha_patterns_train_as_in_peft: "rank_pattern",
    attention_alone_trains_as_in_peft: "attn_only_r8",
    the_textbooks_layer_trains_as_in_pytorch: "seed_lora",
    the_textbooks_layer_on_the_head_trains_as_in_pytorch: "seed_lora_with_head",
}

#[test]
fn the_base_gives_the_reference_logits_hidden_states_and_loss() {
    let io = oracle_tensors("base_io.safetensors");
    for folder in ["base", "base_hub"] {
        let config = Gpt2Config::from_json(&oracle_text(&format!("{folder}/config.json"))).unwrap();
        let model = Gpt2::load(config, &oracle(&format!("{folder}/model.safetensors")), Qkv::Fused).unwrap();
        let input = io["input_ids"].to_dtype(candle_core::DType::U32).unwrap();
        assert_near(&batch_logits(&model, &input), &io["logits"], VALUE, &format!("{folder}: logits"));
        for (i, state) in model.hidden_states(&input, &mut Pass::default()).unwrap().iter().enumerate() {
            assert_near(state, &io[&format!("hidden.{i}")], VALUE, &format!("{folder}: hidden state {i}"));
        }
        let full = batch_logits(&model, &io["full_ids"]);
        let (want, time) = (&io["full_logits_last8"], full.dims()[1]);
        let last = full.narrow(1, time - want.dims()[1], want.dims()[1]).unwrap();
        assert_near(&last, want, VALUE, &format!("{folder}: logits at the end of the context"));
        let rows = ids(&io["batches"].i(0).unwrap());
        let windows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let loss = lora_lab::train::mean_loss(&model, &windows).unwrap().unwrap();
        assert!((loss - f64::from(numbers(&io["batch0_loss"])[0])).abs() <= f64::from(LOSS));
    }
}

#[test]
fn split_projections_give_the_logits_of_the_fused_one() {
    let io = oracle_tensors("base_io.safetensors");
    let config = Gpt2Config::from_json(&oracle_text("base/config.json")).unwrap();
    let model = Gpt2::load(config, &oracle("base/model.safetensors"), Qkv::Split).unwrap();
    assert_near(&batch_logits(&model, &io["input_ids"]), &io["logits"], VALUE, "logits");
}

#[test]
fn greedy_generation_with_a_cache_writes_what_transformers_writes() {
    let io = oracle_tensors("base_io.safetensors");
    let model = oracle_base();
    let (prompts, want) = (ids(&io["input_ids"]), ids(&io["greedy_ids"]));
    // How long the prompt was is not recorded; greedy writing goes on in the same way from any of its own words.
    let shared = prompts[0].iter().zip(&want[0]).take_while(|(prompt, written)| prompt == written).count();
    let new = shared.min(want[0].len() - 1);
    assert!(new > 0, "the reference does not begin with the prompt");
    // An end-of-text token is the last one there, and part of the text.
    let settings = GenerateConfig {
        temperature: 0.,
        max_tokens: want[0].len() - new,
        stop_at_end: false,
        ..GenerateConfig::default()
    };
    let mut generator = Generator::new(&prompts[0][..new], settings, model.config().eos_token_id, &model).unwrap();
    while generator.next(&model).unwrap().is_some() {}
    assert_eq!(generator.ids(), want[0]);
}

#[test]
fn what_is_exported_equals_pefts_files_tensor_for_tensor() {
    for name in ["default", "default_randb", "rslora", "rank_pattern", "attn_only_r8"] {
        let mut variant = Variant::new(name);
        variant.load("final");
        let available: Vec<String> = paths(&mut variant.model);
        let got =
            candle_core::safetensors::load_buffer(&variant.adapter.to_safetensors().unwrap(), &Device::Cpu).unwrap();
        assert_same(&got, &oracle_tensors(&format!("{name}/final/adapter_model.safetensors")), name);
        let config = variant.adapter.to_config_json(&available).unwrap();
        let (got, want) = (
            serde_json::from_str::<Value>(&config).unwrap(),
            oracle_json(&format!("{name}/final/adapter_config.json")),
        );
        for (key, value) in got.as_object().unwrap() {
            assert_eq!(plain(value), plain(&want[key]), "{name}: {key}");
        }
        // And it reads back as the same settings.
        assert_eq!(peft::read_config(&config).unwrap(), *variant.adapter.config());
    }
}

#[test]
fn the_textbooks_adapter_exports_as_pefts_with_alpha_times_rank() {
    let mut variant = Variant::new("seed_lora");
    variant.load("final");
    let available = paths(&mut variant.model);
    let got = candle_core::safetensors::load_buffer(&variant.adapter.to_safetensors().unwrap(), &Device::Cpu).unwrap();
    assert_same(&got, &oracle_tensors("seed_lora/as_peft/adapter_model.safetensors"), "seed_lora");
    let config = variant.adapter.to_config_json(&available).unwrap();
    let mut model = oracle_base();
    let read = peft::read_config(&config).unwrap();
    let want = oracle_json("seed_lora/as_peft/adapter_config.json")["lora_alpha"].as_f64().unwrap();
    assert!((read.alpha - want).abs() <= 1e-6 * want, "{} is not {want}", read.alpha);
    let adapter = replace_linear_with_lora(&mut model, &read, &mut Rng::new(0)).unwrap();
    adapter.load_safetensors(&variant.adapter.to_safetensors().unwrap()).unwrap();
    let io = oracle_tensors("base_io.safetensors");
    assert_near(
        &batch_logits(&model, &io["input_ids"]),
        &variant.trace["logits_final"],
        VALUE,
        "logits through PEFT's form",
    );
}

fn paths(model: &mut Gpt2) -> Vec<String> {
    let mut paths = Vec::new();
    let _ = lora_lab::nn::module::for_each_linear::<()>(model, &mut |path, _| {
        paths.push(path.to_owned());
        Ok(())
    });
    paths
}

/// Lists sorted, and 8 as 8.0: how PEFT reads them.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(plain).collect();
            list.sort_by_key(ToString::to_string);
            list.into()
        }
        other => other.clone(),
    }
}

fn assert_same(got: &HashMap<String, Tensor>, want: &HashMap<String, Tensor>, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (name, want) in want {
        assert_eq!(max_diff(&got[name], want), 0., "{what}: {name}");
    }
}
