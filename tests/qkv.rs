//! Adapters of PEFT's `c_attn` in a model with separate q, k and v, and back.

mod common;

use candle_core::{Device, Tensor};
use common::*;
use lora_lab::checkpoint::safetensors;
use lora_lab::lora::{Adapter, LoraConfig, Modules, Scaling, attach, import_peft, remove};
use lora_lab::model::{Gpt2, Qkv};
use lora_lab::nn::module::for_each_linear;
use lora_lab::rng::Rng;
use std::collections::BTreeMap;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test_configure!(run_in_dedicated_worker);

const SEQUENCE: [u32; 6] = [3, 14, 15, 9, 26, 53];

fn model(qkv: Qkv) -> Gpt2 {
    Gpt2::load(small_config(), &small_files(5).1, qkv).unwrap()
}

fn list(names: &[&str]) -> Modules {
    Modules::List(names.iter().map(|&name| name.into()).collect())
}

/// A model with an adapter whose B are noise, as after a training.
fn adapted(qkv: Qkv, config: &LoraConfig) -> (Gpt2, Adapter) {
    let mut model = model(qkv);
    let adapter = attach(&mut model, "default", config, &mut Rng::new(3)).unwrap();
    let mut rng = Rng::new(8);
    for layer in adapter.layers().values() {
        let noise: Vec<f32> = (0..layer.b.elem_count()).map(|_| 0.1 * rng.normal()).collect();
        layer.b.set(&Tensor::from_vec(noise, layer.b.dims(), &Device::Cpu).unwrap()).unwrap();
    }
    (model, adapter)
}

fn files(model: &mut Gpt2, adapter: &Adapter) -> (Vec<u8>, String) {
    let mut paths = Vec::new();
    for_each_linear::<()>(model, &mut |path, _| {
        paths.push(path.to_owned());
        Ok(())
    })
    .unwrap();
    (adapter.to_safetensors().unwrap(), adapter.to_config_json(&paths).unwrap())
}

/// The bits of all matrices, by layer.
fn bits(adapter: &Adapter) -> BTreeMap<String, [Vec<u32>; 2]> {
    let bits = |var: &candle_core::Var| numbers(var.as_tensor()).into_iter().map(f32::to_bits).collect();
    adapter.layers().iter().map(|(path, layer)| (path.clone(), [bits(&layer.a), bits(&layer.b)])).collect()
}

fn scalings(adapter: &Adapter) -> BTreeMap<String, f64> {
    adapter.layers().iter().map(|(path, layer)| (path.clone(), layer.scaling())).collect()
}

fn assert_same_logits(got: &Gpt2, want: &Gpt2, what: &str) {
    let (got, want) = (logits(got, &SEQUENCE), logits(want, &SEQUENCE));
    let worst = max_diff(&got, &want);
    assert!(worst < 1e-5, "{what}: {worst:e}");
    assert!(max_diff(&got, &logits(&model(Qkv::Fused), &SEQUENCE)) > 1e-2, "{what}: the adapter does nothing");
}

/// Adapters of separate layers, of every scaling, with one rank and alpha for all parts or some of their own.
fn separate_configs() -> Vec<(&'static str, LoraConfig)> {
    let mut all = Vec::new();
    for scaling in [Scaling::Rank, Scaling::SqrtRank, Scaling::Textbook] {
        let config = LoraConfig { rank: 3, alpha: 5., scaling, ..LoraConfig::default() };
        let pattern = |keys: &[&str], alpha: f64| keys.iter().map(|&key| (key.to_owned(), alpha)).collect();
        all.extend([
            ("all layers", config.clone()),
            ("all layers and the head", LoraConfig { targets: Modules::Pattern(".*".into()), ..config.clone() }),
            ("a pattern", LoraConfig { targets: Modules::Pattern(r".*\.W_.*".into()), ..config.clone() }),
            ("query and value", LoraConfig { targets: list(&["W_query", "W_value", "mlp.c_fc"]), ..config.clone() }),
            ("key alone", LoraConfig { targets: list(&["W_key"]), ..config.clone() }),
            (
                "one block",
                LoraConfig {
                    targets: list(&["W_query", "W_key"]),
                    layers_to_transform: Some(vec![1]),
                    ..config.clone()
                },
            ),
            ("without one", LoraConfig { exclude: Some(list(&["h.0.attn.W_key"])), ..config.clone() }),
            (
                "other ranks",
                LoraConfig {
                    rank_pattern: [("W_key".into(), 7), ("h.1.attn.W_value".into(), 2)].into(),
                    ..config.clone()
                },
            ),
            (
                "other alphas",
                LoraConfig { alpha_pattern: pattern(&["W_query", "h.0.mlp.c_proj"], 11.3), ..config.clone() },
            ),
            (
                "other ranks of one scaling",
                LoraConfig {
                    rank_pattern: [("W_key".into(), 6)].into(),
                    alpha_pattern: pattern(&["W_key"], if scaling == Scaling::Rank { 10. } else { 5. }),
                    ..config
                },
            ),
        ]);
    }
    all
}

#[test]
fn what_was_joined_comes_back_bit_for_bit() {
    for (what, config) in separate_configs() {
        let what = format!("{what}, {:?}", config.scaling);
        let (mut first, adapter) = adapted(Qkv::Split, &config);
        let (tensors, json) = files(&mut first, &adapter);
        let mut fused = model(Qkv::Fused);
        import_peft(&mut fused, "default", &tensors, &json).unwrap();
        assert_same_logits(&fused, &first, &what);
        let mut again = model(Qkv::Split);
        let imported = import_peft(&mut again, "default", &tensors, &json).unwrap();
        assert_eq!(bits(&imported), bits(&adapter), "{what}");
        for (path, want) in scalings(&adapter) {
            assert!((imported.layers()[&path].scaling() / want - 1.).abs() < 1e-12, "{what}: {path}");
        }
        assert_same_logits(&again, &first, &what);
        // And once more from there.
        let mut third = model(Qkv::Split);
        let (tensors, json) = files(&mut again, &imported);
        assert_eq!(bits(&import_peft(&mut third, "default", &tensors, &json).unwrap()), bits(&adapter), "{what}");
    }
}

#[test]
fn an_adapter_that_has_not_trained_comes_back_though_all_its_b_are_zero() {
    let mut first = model(Qkv::Split);
    let config = LoraConfig { rank_pattern: [("W_key".into(), 3)].into(), ..LoraConfig::default() };
    let adapter = attach(&mut first, "default", &config, &mut Rng::new(3)).unwrap();
    let (tensors, json) = files(&mut first, &adapter);
    let imported = import_peft(&mut model(Qkv::Split), "default", &tensors, &json).unwrap();
    assert_eq!(bits(&imported), bits(&adapter));
}

/// The same file without its metadata, as another program would write it.
fn without_metadata(tensors: &[u8]) -> Vec<u8> {
    let tensors = candle_core::safetensors::load_buffer(tensors, &Device::Cpu).unwrap();
    safetensors::write(&tensors.into_iter().collect(), &[]).unwrap()
}

#[test]
fn blocks_are_found_without_the_metadata_where_each_column_is_of_one_part() {
    for (what, config) in separate_configs() {
        let (mut first, adapter) = adapted(Qkv::Split, &config);
        let (tensors, json) = files(&mut first, &adapter);
        let mut again = model(Qkv::Split);
        let imported = import_peft(&mut again, "default", &without_metadata(&tensors), &json).unwrap();
        let ranks = |adapter: &Adapter| adapter.layers().iter().map(|(p, l)| (p.clone(), l.rank())).collect::<Vec<_>>();
        assert_eq!(ranks(&imported), ranks(&adapter), "{what}");
        assert_same_logits(&again, &first, what);
    }
}

#[test]
fn a_configuration_that_says_all_linear_adapts_the_parts_that_the_file_has() {
    let (mut first, adapter) = adapted(Qkv::Split, &LoraConfig { targets: list(&["W_key"]), ..LoraConfig::default() });
    let (tensors, _) = files(&mut first, &adapter);
    let json = |targets: &str| format!(r#"{{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":"{targets}"}}"#);
    for file in [&tensors, &without_metadata(&tensors)] {
        let mut again = model(Qkv::Split);
        let targets = r".*\\.(c_attn|W_query)";
        let imported = import_peft(&mut again, "default", file, &json(targets)).unwrap();
        assert_eq!(bits(&imported), bits(&adapter));
        // The other layers are chosen too, and the file has not got them.
        let error = import_peft(&mut model(Qkv::Split), "default", file, &json("all-linear")).unwrap_err();
        assert!(error.to_string().contains("attn.c_proj.lora_A"), "{error}");
    }
}

#[test]
fn metadata_that_do_not_fit_the_tensors_are_not_followed() {
    let config = LoraConfig { alpha_pattern: [("W_query".into(), 11.3)].into(), ..LoraConfig::default() };
    let (mut first, adapter) = adapted(Qkv::Split, &config);
    let (tensors, json) = files(&mut first, &adapter);
    let (_, header) = ::safetensors::SafeTensors::read_metadata(&tensors).unwrap();
    let metadata = header.metadata().clone().unwrap()["lora_lab_qkv"].clone();
    let read: BTreeMap<String, Tensor> =
        candle_core::safetensors::load_buffer(&tensors, &Device::Cpu).unwrap().into_iter().collect();
    let write = |metadata: String, tensors: &BTreeMap<String, Tensor>| {
        safetensors::write(tensors, &[("lora_lab_qkv", metadata)]).unwrap()
    };
    let name = "base_model.model.transformer.h.0.attn.c_attn.lora_B.weight";
    let change = |f: &dyn Fn(&Tensor) -> Tensor| {
        let mut changed = read.clone();
        let other = f(&changed[name]);
        changed.insert(name.into(), other);
        changed
    };
    let dense = change(&|b| (b + 0.1).unwrap());
    let doubled = change(&|b| (b * 2.).unwrap());
    let without: BTreeMap<_, _> = read.iter().filter(|(name, _)| !name.starts_with("separate.")).collect();
    let without = without.into_iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    assert_ne!(read.len(), BTreeMap::len(&without));
    let files = [
        ("another rank", write(metadata.replacen("\"rank\":8", "\"rank\":9", 1), &read)),
        ("ranks past all", write(metadata.replacen("\"rank\":8", "\"rank\":18446744073709551615", 1), &read)),
        ("a rank of zero", write(metadata.replacen("\"rank\":8", "\"rank\":0", 1), &read)),
        ("another alpha", write(metadata.replacen("\"alpha\":11.3", "\"alpha\":12.3", 1), &read)),
        ("no JSON", write("{".into(), &read)),
        ("a B that is not diagonal", write(metadata.clone(), &dense)),
        ("another B than the separate ones", write(metadata.clone(), &doubled)),
        ("no separate ones", write(metadata, &without)),
    ];
    for (what, tensors) in files {
        let (mut split, mut fused) = (model(Qkv::Split), model(Qkv::Fused));
        import_peft(&mut split, "default", &tensors, &json).unwrap();
        import_peft(&mut fused, "default", &tensors, &json).unwrap();
        assert_same_logits(&split, &fused, what);
    }
}

#[test]
fn any_adapter_of_c_attn_becomes_three_of_its_rank_that_compute_the_same() {
    let base = |rsloras: bool| LoraConfig {
        rank: 3,
        alpha: 5.,
        scaling: if rsloras { Scaling::SqrtRank } else { Scaling::Rank },
        ..LoraConfig::default()
    };
    for rslora in [false, true] {
        let configs = [
            ("c_attn", LoraConfig { targets: list(&["c_attn"]), ..base(rslora) }),
            ("its path", LoraConfig { targets: list(&["transformer.h.1.attn.c_attn", "lm_head"]), ..base(rslora) }),
            ("all-linear", base(rslora)),
            (
                "a pattern",
                LoraConfig { targets: Modules::Pattern(r"transformer\.h\.\d+\.attn\..*".into()), ..base(rslora) },
            ),
            ("one block", LoraConfig { layers_to_transform: Some(vec![1]), ..base(rslora) }),
            ("one excluded", LoraConfig { exclude: Some(list(&["h.0.attn.c_attn"])), ..base(rslora) }),
            ("all excluded", LoraConfig { exclude: Some(list(&["c_attn"])), ..base(rslora) }),
            (
                "patterns",
                LoraConfig {
                    rank_pattern: [("h.0.attn.c_attn".into(), 5), ("c_proj".into(), 2)].into(),
                    alpha_pattern: [("c_attn".into(), 7.), ("mlp.c_fc".into(), 1.)].into(),
                    ..base(rslora)
                },
            ),
        ];
        for (what, config) in configs {
            let (_, adapter) = adapted(Qkv::Fused, &config);
            // The configuration as PEFT may have written it, patterns and all, not as we resolve it.
            let peft = serde_json::json!({
                "peft_type": "LORA", "r": config.rank, "lora_alpha": config.alpha, "target_modules": config.targets,
                "exclude_modules": config.exclude, "rank_pattern": config.rank_pattern, "alpha_pattern": config.alpha_pattern,
                "layers_to_transform": config.layers_to_transform, "use_rslora": rslora, "lora_dropout": 0.1,
            });
            let (tensors, json) = (adapter.to_safetensors().unwrap(), peft.to_string());
            let (mut split, mut fused) = (model(Qkv::Split), model(Qkv::Fused));
            let of_fused = import_peft(&mut fused, "default", &tensors, &json).unwrap();
            assert_eq!(bits(&of_fused), bits(&adapter), "{what}");
            let three = import_peft(&mut split, "default", &tensors, &json).unwrap();
            assert_same_logits(&split, &fused, what);
            assert_eq!(three.config().dropout, 0.1);
            for (path, layer) in of_fused.layers() {
                let Some(attn) = path.strip_suffix(".c_attn") else {
                    assert_eq!(bits(&three)[path], bits(&of_fused)[path], "{what}: {path}");
                    continue;
                };
                for (i, part) in ["W_query", "W_key", "W_value"].iter().enumerate() {
                    let third = &three.layers()[&format!("{attn}.{part}")];
                    assert_eq!(numbers(third.a.as_tensor()), numbers(layer.a.as_tensor()), "{what}");
                    let columns = layer.b.as_tensor().narrow(1, i * 24, 24).unwrap();
                    assert_eq!(numbers(third.b.as_tensor()), numbers(&columns), "{what}");
                    assert_eq!((third.rank(), third.scaling()), (layer.rank(), layer.scaling()), "{what}");
                }
            }
            let of_c_attn = of_fused.layers().keys().filter(|path| path.ends_with(".c_attn")).count();
            assert_eq!(three.layers().len(), of_fused.layers().len() + 2 * of_c_attn, "{what}");
            // What it has become is exported and imported like any other adapter.
            let mut again = model(Qkv::Fused);
            let (tensors, json) = files(&mut split, &three);
            import_peft(&mut again, "default", &tensors, &json).unwrap();
            assert_same_logits(&again, &fused, what);
        }
    }
}

#[test]
fn a_file_that_does_not_fit_is_refused_by_the_names_that_it_has_and_changes_nothing() {
    let (mut fused, adapter) = adapted(Qkv::Fused, &LoraConfig { targets: list(&["c_attn"]), ..LoraConfig::default() });
    let (tensors, json) = files(&mut fused, &adapter);
    let mut split = model(Qkv::Split);
    let before = numbers(&logits(&split, &SEQUENCE));
    let mut refuse = |tensors: &[u8], json: &str, code: &str, named: &str| {
        let error = import_peft(&mut split, "default", tensors, json).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(numbers(&logits(&split, &SEQUENCE)), before);
        assert_eq!(remove(&mut split, "default").ok(), Some(()));
    };
    refuse(&tensors, &json.replace("\"r\": 8", "\"r\": 4"), "shape", "c_attn.lora_A");
    refuse(&tensors, &json.replace("\"c_attn\"", "\"c_fc\""), "missing-tensor", "c_fc.lora_A");
    refuse(&tensors, &json.replace("\"c_attn\"", "\"c_atn\""), "no-target", "c_atn");
    let mut read: BTreeMap<String, Tensor> =
        candle_core::safetensors::load_buffer(&tensors, &Device::Cpu).unwrap().into_iter().collect();
    let last = read.pop_last().unwrap();
    assert!(last.0.ends_with("h.1.attn.c_attn.lora_B.weight"));
    refuse(&safetensors::write(&read, &[]).unwrap(), &json, "missing-tensor", "h.1.attn.c_attn.lora_B");
    read.extend([last.clone(), ("base_model.model.more".into(), last.1)]);
    refuse(&safetensors::write(&read, &[]).unwrap(), &json, "unknown-tensor", "more");
}

#[test]
fn a_file_of_separate_layers_itself_is_taken_as_it_is() {
    let (_, adapter) =
        adapted(Qkv::Split, &LoraConfig { targets: list(&["W_query", "c_fc"]), ..LoraConfig::default() });
    let mut tensors = BTreeMap::new();
    for (name, var) in adapter.named_vars() {
        tensors.insert(name, var.as_tensor().t().unwrap().contiguous().unwrap());
    }
    let json = r#"{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":["W_query","c_fc"]}"#;
    let file = safetensors::write(&tensors, &[]).unwrap();
    let imported = import_peft(&mut model(Qkv::Split), "default", &file, json).unwrap();
    assert_eq!(bits(&imported), bits(&adapter));
}
