//! PEFT's two files: the names of the tensors, and the configuration.

use super::Adapter;
use super::config::{ALL_LINEAR, LoraConfig, Modules, Scaling};
use super::qkv::Fused;
use crate::error::{Error, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The file of the tensors, for errors.
pub(super) const TENSORS: &str = "adapter_model.safetensors";

/// What PEFT puts before a module's path.
const PREFIX: &str = "base_model.model.";

/// The names of a layer's two tensors.
pub fn tensor_names(path: &str) -> [String; 2] {
    [format!("{PREFIX}{path}.lora_A.weight"), format!("{PREFIX}{path}.lora_B.weight")]
}

/// `adapter_config.json`, written in full.
#[derive(Serialize)]
struct Written<'a> {
    peft_type: &'a str,
    task_type: &'a str,
    base_model_name_or_path: Option<&'a str>,
    revision: Option<&'a str>,
    r: usize,
    lora_alpha: f64,
    lora_dropout: f32,
    bias: &'a str,
    fan_in_fan_out: bool,
    target_modules: Modules,
    exclude_modules: Option<&'a Modules>,
    modules_to_save: Option<&'a str>,
    rank_pattern: IndexMap<String, usize>,
    alpha_pattern: IndexMap<String, f64>,
    layers_to_transform: Option<&'a [usize]>,
    layers_pattern: Option<&'a str>,
    use_rslora: bool,
    use_dora: bool,
    init_lora_weights: bool,
    inference_mode: bool,
}

/// `adapter_config.json` for an adapter of a GPT-2 whose linear layers are `available`.
///
/// PEFT knows `alpha / r` and `alpha / √r`; the textbook's plain `alpha` is written as `alpha·r`.
pub(super) fn write_config(adapter: &Adapter, available: &[String]) -> Result<String> {
    let config = adapter.config();
    let (mut rank_pattern, mut alpha_pattern) = (config.rank_pattern.clone(), config.alpha_pattern.clone());
    let mut alpha = config.alpha;
    let mut targets = config.targets.clone();
    let mut exclude = config.exclude.as_ref();
    let mut blocks = config.layers_to_transform.as_deref();
    if config.scaling == Scaling::Textbook {
        alpha *= config.rank as f64;
        (rank_pattern, alpha_pattern) = Default::default();
        for (path, layer) in adapter.layers() {
            let layer_alpha = layer.scaling() * layer.rank() as f64;
            if layer.rank() != config.rank || layer_alpha != alpha {
                rank_pattern.insert(path.clone(), layer.rank());
                alpha_pattern.insert(path.clone(), layer_alpha);
            }
        }
    }
    // Old versions of PEFT have no `all-linear` for GPT-2's Conv1D, and none takes blocks beside a regular expression:
    // in both cases the names of the chosen layers are written.
    let resolved =
        targets == Modules::Pattern(ALL_LINEAR.into()) || matches!(targets, Modules::Pattern(_)) && blocks.is_some();
    if resolved {
        (targets, exclude, blocks) = (adapter.target_names(available), None, None);
    }
    if let Some(fused) = Fused::of(adapter)? {
        targets = Modules::List(fused.targets(adapter));
        (rank_pattern, alpha_pattern) = fused.patterns(adapter, config.rank, alpha)?;
        (exclude, blocks) = (None, None);
    }
    let written = Written {
        peft_type: "LORA",
        task_type: "CAUSAL_LM",
        base_model_name_or_path: None,
        revision: None,
        r: config.rank,
        lora_alpha: alpha,
        lora_dropout: config.dropout,
        bias: "none",
        fan_in_fan_out: true,
        target_modules: targets,
        exclude_modules: exclude,
        modules_to_save: None,
        rank_pattern,
        alpha_pattern,
        layers_to_transform: blocks,
        layers_pattern: None,
        use_rslora: config.scaling == Scaling::SqrtRank,
        use_dora: false,
        init_lora_weights: true,
        inference_mode: true,
    };
    serde_json::to_string_pretty(&written).map_err(|e| Error::format("adapter_config.json output", e))
}

/// What is read of `adapter_config.json`; PEFT's own defaults where a field may be absent.
#[derive(Deserialize)]
struct Read {
    peft_type: String,
    target_modules: Modules,
    #[serde(default = "default_r")]
    r: usize,
    #[serde(default = "default_alpha")]
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f32,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    exclude_modules: Option<Modules>,
    #[serde(default)]
    rank_pattern: Option<IndexMap<String, usize>>,
    #[serde(default)]
    alpha_pattern: Option<IndexMap<String, f64>>,
    #[serde(default)]
    layers_to_transform: Option<Blocks>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    modules_to_save: Option<Value>,
    #[serde(default)]
    layer_replication: Option<Value>,
    #[serde(default)]
    trainable_token_indices: Option<Value>,
    #[serde(default)]
    lora_bias: bool,
    #[serde(default)]
    init_lora_weights: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Blocks {
    One(usize),
    Many(Vec<usize>),
}

fn default_r() -> usize {
    8
}

fn default_alpha() -> f64 {
    8.
}

/// Reads `adapter_config.json`.
///
/// # Errors
/// `format` if it is not JSON of this form, `unsupported` for kinds of adapters that this library
/// does not compute: ignoring them would give other numbers than PEFT.
pub fn read_config(json: &str) -> Result<LoraConfig> {
    let read: Read = serde_json::from_str(json).map_err(|e| Error::format("adapter_config.json", e))?;
    let unsupported = |detail: String| Err(Error::Unsupported { what: "this adapter", detail });
    if read.peft_type != "LORA" {
        return unsupported(format!("peft_type {:?}, expected \"LORA\"", read.peft_type));
    }
    let bias = read.bias.as_deref().unwrap_or("none");
    if bias != "none" {
        return unsupported(format!("bias {bias:?}, expected \"none\""));
    }
    let empty =
        |value: &Option<Value>| value.as_ref().is_none_or(|v| v.is_null() || v.as_array().is_some_and(Vec::is_empty));
    let kinds = [
        ("use_dora", !read.use_dora),
        ("lora_bias", !read.lora_bias),
        ("modules_to_save", empty(&read.modules_to_save)),
        ("layer_replication", empty(&read.layer_replication)),
        ("trainable_token_indices", empty(&read.trainable_token_indices)),
    ];
    if let Some((name, _)) = kinds.iter().find(|(_, absent)| !absent) {
        return unsupported(format!("it has {name}"));
    }
    // These initialisations (PiSSA, OLoRA, LoftQ) modify the base; the files do not contain that change.
    if let Some(start) = read.init_lora_weights.as_ref().and_then(Value::as_str)
        && !["gaussian", "orthogonal", "eva"].contains(&start)
    {
        return unsupported(format!("init_lora_weights {start:?}, which changes the base"));
    }
    let config = LoraConfig {
        rank: read.r,
        alpha: read.lora_alpha,
        scaling: if read.use_rslora { Scaling::SqrtRank } else { Scaling::Rank },
        targets: read.target_modules,
        exclude: read.exclude_modules,
        rank_pattern: read.rank_pattern.unwrap_or_default(),
        alpha_pattern: read.alpha_pattern.unwrap_or_default(),
        layers_to_transform: read.layers_to_transform.map(|blocks| match blocks {
            Blocks::One(block) => vec![block],
            Blocks::Many(blocks) => blocks,
        }),
        dropout: read.lora_dropout,
        seed: 0,
    };
    config.matcher()?;
    Ok(config)
}
