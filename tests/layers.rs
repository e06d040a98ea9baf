//! The rules about the tree: one direction of dependencies, `unsafe` in `kernel/` alone, JavaScript in
//! `web/` alone, and no forward pass past `ops/`.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module and those it may use. All may use `error` and `rng`.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("error", &[]),
    ("rng", &[]),
    ("kernel", &[]),
    ("ops", &["kernel", "rng"]),
    ("checkpoint", &["error"]),
    ("tokenizer", &["error"]),
    ("nn", &["error", "ops", "rng"]),
    ("model", &["checkpoint", "error", "nn", "ops", "rng"]),
    ("lora", &["checkpoint", "error", "nn", "rng"]),
    ("train", &["checkpoint", "error", "kernel", "model", "nn", "ops", "rng"]),
    ("generate", &["error", "model", "nn", "rng"]),
    ("lab", &["checkpoint", "error", "generate", "lora", "model", "nn", "ops", "rng", "tokenizer", "train"]),
    ("web", &["error", "kernel", "lab", "lora", "model", "train", "generate"]),
    ("lib", &["error", "lab"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file with the module it belongs to, tests inside it cut off.
fn sources() -> Vec<(String, PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(root()).unwrap();
            let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            found.push((module, path.clone(), code.join("\n")));
        }
    }
    assert!(found.len() > 30, "{} files", found.len());
    found
}

/// The modules that `crate::…` paths name, those in braces included.
fn used(code: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut modules = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => {
                let mut depth = 0;
                let inner = list.chars().take_while(|&c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth >= 0
                });
                let inner: String = inner.collect();
                modules.extend(inner.split(',').map(|part| name(part.trim())));
            }
            None => drop(modules.insert(name(rest))),
        }
    }
    modules.retain(|module| MAY_USE.iter().any(|(known, _)| known == module));
    modules
}

#[test]
fn dependencies_go_one_way() {
    for (module, path, code) in sources() {
        let (_, allowed) =
            MAY_USE.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("{module} has no place"));
        for other in used(&code) {
            assert!(other == module || allowed.contains(&other.as_str()), "{} uses {other}", path.display());
        }
    }
    // The table itself has no circle: each comes after those it uses.
    for (i, (module, uses)) in MAY_USE.iter().enumerate() {
        for other in *uses {
            let place = MAY_USE.iter().position(|(name, _)| name == other).unwrap();
            assert!(place < i, "{module} uses {other}");
        }
    }
}

#[test]
fn the_reader_of_paths_sees_what_it_should() {
    let code = "use crate::nn::Linear;\nuse crate::{error::Result, ops::{linear, norm}};\nfn f() { crate::rng::x() }";
    assert_eq!(used(code).into_iter().collect::<Vec<_>>(), ["error", "nn", "ops", "rng"]);
}

#[test]
fn only_kernels_are_unsafe_and_only_the_border_knows_javascript() {
    for (module, path, code) in sources() {
        let has = |word: &str| code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word);
        assert!(module == "kernel" || !has("unsafe"), "{} is unsafe", path.display());
        for foreign in ["wasm_bindgen", "js_sys", "web_sys"] {
            assert!(module == "web" || !has(foreign), "{} uses {foreign}", path.display());
        }
    }
}

#[test]
fn the_core_has_no_clock_no_files_and_no_global_randomness() {
    for (_, path, code) in sources() {
        for word in ["std::time", "std::fs", "std::net", "rand::", "Tensor::rand", "println!"] {
            // Not as the end of another word, as in operand::.
            let begins = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let used = code.match_indices(word).any(|(at, _)| begins(at));
            assert!(!used, "{} uses {word}", path.display());
        }
    }
}

#[test]
fn no_forward_pass_goes_past_the_fused_operations() {
    // What candle composes of many passes has one operation in ops/; LoraLayer::forward is the definition,
    // for reading and for layers whose base trains.
    let banned = [
        ".gelu(",
        ".tanh(",
        ".softmax",
        "layer_norm_slow",
        "candle_nn::ops",
        "candle_nn::loss",
        "log_softmax",
        ".exp(",
    ];
    for (module, path, code) in sources() {
        if !["nn", "model", "train", "lora", "lab"].contains(&module.as_str()) {
            continue;
        }
        for word in banned {
            assert!(!code.contains(word), "{} computes {word} outside ops/", path.display());
        }
        let defines = path.ends_with("nn/lora.rs");
        assert!(defines || !code.contains("matmul("), "{} multiplies matrices outside ops/", path.display());
    }
}

#[test]
fn no_file_is_longer_than_450_lines() {
    for (_, path, _) in sources() {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 450, "{} has {lines} lines", path.display());
    }
}
