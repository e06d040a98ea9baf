//! Files from strangers: an error, never a panic, and nothing changed.

mod common;

use common::*;
use lora_lab::checkpoint::TensorFile;
use lora_lab::lab::Lab;
use lora_lab::lora::LoraConfig;
use lora_lab::model::Qkv;
use lora_lab::rng::Rng;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A container with this header and this many bytes of data.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn code(bytes: &[u8]) -> Option<&'static str> {
    TensorFile::read(bytes, "a file").err().map(|e| e.code())
}

#[test]
fn lying_headers_are_refused() {
    let one = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert_eq!(code(&file(one, 8)), None);
    let bad = [
        (vec![], "nothing at all"),
        (vec![1, 2, 3], "less than a length"),
        (u64::MAX.to_le_bytes().to_vec(), "a huge header"),
        (100u64.to_le_bytes().to_vec(), "a header that is not there"),
        (file("", 0), "an empty header"),
        (file("[]", 0), "a header that is no object"),
        (file("{", 0), "half a header"),
        (file("\u{0}\u{1}", 0), "a header of no characters"),
        (file(one, 7), "data cut off"),
        (file(one, 9), "data too long"),
        (file(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8), "offsets backwards"),
        (file(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8), "a shape that does not fit"),
        (file(r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#, 8), "a huge shape"),
        (file(r#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8), "a negative shape"),
        (
            file(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
                8,
            ),
            "a name twice",
        ),
        (
            file(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
                12,
            ),
            "an overlap",
        ),
    ];
    for (bytes, what) in bad {
        assert_eq!(code(&bytes), Some("format"), "{what}");
    }
}

#[test]
fn other_types_and_numbers_that_are_none_are_refused_by_name() {
    for dtype in ["I64", "U8", "BOOL", "F64"] {
        let size = if matches!(dtype, "U8" | "BOOL") { 1 } else { 8 };
        let header = format!(r#"{{"weird":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,{size}]}}}}"#);
        let error = TensorFile::read(&file(&header, size), "a file").unwrap_err();
        assert_eq!(error.code(), "dtype");
        assert!(error.to_string().contains("weird") && error.to_string().contains(dtype), "{error}");
    }
    for bits in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut bytes = file(r#"{"odd":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4);
        bytes.extend(bits.to_le_bytes());
        let error = TensorFile::read(&bytes, "a file").unwrap_err();
        assert_eq!(error.code(), "not-finite");
        assert!(error.to_string().contains("odd"), "{error}");
    }
}

#[test]
fn a_model_cut_off_anywhere_is_refused() {
    let (config, weights) = small_files(1);
    let load = |weights: &[u8]| Lab::new(&config, weights, None, Qkv::Fused).err().map(|e| e.code());
    assert_eq!(load(&weights), None);
    let mut rng = Rng::new(1);
    for _ in 0..60 {
        assert!(load(&weights[..rng.below(weights.len())]).is_some());
    }
}

#[test]
fn a_model_with_any_header_byte_changed_loads_or_is_refused_but_never_panics() {
    let (config, weights) = small_files(1);
    let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let mut rng = Rng::new(2);
    let mut refused = 0;
    for _ in 0..300 {
        let mut bytes = weights.clone();
        bytes[rng.below(header)] = rng.next_u64() as u8;
        refused += usize::from(Lab::new(&config, &bytes, None, Qkv::Fused).is_err());
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    let (config, weights) = small_files(1);
    let code = |from: &str, to: &str| {
        assert!(config.contains(from), "{from} in {config}");
        Lab::new(&config.replace(from, to), &weights, None, Qkv::Fused).err().map(|e| e.code())
    };
    assert_eq!(code("\"n_head\":3", "\"n_head\":0"), Some("config"));
    assert_eq!(code("\"n_head\":3", "\"n_head\":5"), Some("config"));
    assert_eq!(code("\"n_layer\":2", "\"n_layer\":99999999"), Some("config"));
    assert_eq!(code("\"n_layer\":2", "\"n_layer\":3"), Some("missing-tensor"));
    assert_eq!(code("\"n_layer\":2", "\"n_layer\":1"), Some("unknown-tensor"));
    assert_eq!(code("\"n_layer\":2", "\"n_layer\":-1"), Some("format"));
    assert_eq!(code("\"vocab_size\":61", "\"vocab_size\":62"), Some("shape"));
    assert_eq!(code("gelu_new", "relu"), Some("unsupported"));
    assert_eq!(code("\"gpt2\"", "\"llama\""), Some("unsupported"));
    assert_eq!(code("\"layer_norm_epsilon\":0.00001", "\"layer_norm_epsilon\":-1.0"), Some("config"));
    for json in ["", "{}", "[]", "null", "{\"model_type\":\"gpt2\"}"] {
        assert!(Lab::new(json, &weights, None, Qkv::Fused).is_err(), "{json}");
    }
    for tokenizer in ["", "{}", "{\"model\":{}}", "not json"] {
        let error = Lab::new(&config, &weights, Some(tokenizer), Qkv::Fused).unwrap_err();
        assert_eq!(error.code(), "format", "{tokenizer}");
    }
}

#[test]
fn sizes_whose_product_is_past_32_bits_are_refused() {
    use lora_lab::checkpoint::{Gpt2Config, MOST_NUMBERS};
    // As bytes of f32, with room for padding, an allocation of a 32-bit machine.
    const { assert!(4 * MOST_NUMBERS < (1 << 31) * 3 / 4) };
    let check = |vocabulary, context, width, heads| Gpt2Config::new(vocabulary, context, width, heads, 1).check();
    let refused = [
        (262_144, 64, 16_384, 16, "n_embd"), // 2³², which is 0 in 32 bits
        (262_144, 65_536, 16, 1, "n_positions · vocab_size"),
        (262_144, 64, 2_048, 16, "n_embd · vocab_size"),
        (100, 64, 16_384, 16, "n_embd · 3 n_embd"),
        (100, 65_536, 4_096, 16, "n_positions · 3 n_embd"),
    ];
    for (vocabulary, context, width, heads, named) in refused {
        let error = check(vocabulary, context, width, heads).unwrap_err();
        assert_eq!(error.code(), "config");
        assert!(error.to_string().contains(named), "{error}");
    }
    // GPT-2 XL, and the largest products that are taken.
    for (vocabulary, context, width, heads) in
        [(50_257, 1024, 1600, 25), (262_144, 1024, 1024, 16), (4096, 65_536, 1024, 16)]
    {
        check(vocabulary, context, width, heads).unwrap();
        for (a, b) in
            [(width, 3 * width), (width, 4 * width), (width, vocabulary), (context, vocabulary), (context, 4 * width)]
        {
            assert!(a as u64 * b as u64 <= MOST_NUMBERS);
        }
    }
    // Not only from JSON.
    let (_, weights) = small_files(1);
    for broken in
        [Gpt2Config::new(61, 32, 0, 3, 2), Gpt2Config::new(61, 32, 24, 0, 2), Gpt2Config::new(0, 32, 24, 3, 2)]
    {
        let frozen = lora_lab::model::Gpt2::load(broken.clone(), &weights, Qkv::Split).err().map(|e| e.code());
        let trainable = lora_lab::model::Gpt2::load_trainable(broken, &weights).err().map(|e| e.code());
        assert_eq!((frozen, trainable), (Some("config"), Some("config")));
    }
}

#[test]
fn a_rank_that_asks_for_more_memory_than_there_can_be_is_refused_before_it_is_taken() {
    use lora_lab::checkpoint::Gpt2Config;
    use lora_lab::lora::{Modules, plan};
    let config = Gpt2Config::new(262_144, 8, 16, 1, 1);
    let mut model = lora_lab::model::Gpt2::shapes(config, lora_lab::model::Head::Vocabulary, Qkv::Fused).unwrap();
    let of = |rank| LoraConfig { rank, targets: Modules::Pattern(".*".into()), ..LoraConfig::default() };
    // 65,536 · 262,144 is 2³⁴, which is 0 in 32 bits.
    let head = LoraConfig { rank: 65_536, targets: Modules::List(vec!["lm_head".into()]), ..LoraConfig::default() };
    for config in [head, of(32)].iter().zip([Some("config"), None]) {
        let (config, code) = config;
        assert_eq!(plan(&mut model, config).err().map(|e| e.code()), code, "rank {}", config.rank);
    }
}

#[test]
fn settings_that_are_infinite_or_zero_as_an_f32_are_refused() {
    use lora_lab::generate::GenerateConfig;
    use lora_lab::lab::Input;
    let (config, weights) = small_files(1);
    let mut lab = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
    for repetition_penalty in [1e39, 1e-46, 0., -1., f64::NAN, f64::INFINITY] {
        let settings = GenerateConfig { repetition_penalty, ..GenerateConfig::default() };
        let error = lab.begin_generation(&Input::Ids(vec![1]), settings, true).unwrap_err();
        assert_eq!(error.code(), "config");
        assert!(error.to_string().contains("repetitionPenalty"), "{error}");
    }
    // The largest and smallest that are left choose tokens, by finite logits.
    for repetition_penalty in [f64::from(f32::MAX), 1e-45, f64::from(f32::MIN_POSITIVE)] {
        for temperature in [0., 0.8] {
            let settings =
                GenerateConfig { repetition_penalty, temperature, max_tokens: 8, ..GenerateConfig::default() };
            lab.begin_generation(&Input::Ids(vec![1, 2, 3]), settings, true).unwrap();
            while !lab.next_token().unwrap().done {}
        }
    }
    let alpha = |alpha| lab.attach("default", &LoraConfig { alpha, ..LoraConfig::default() }).err().map(|e| e.code());
    assert_eq!([1e39, -1e39, f64::NAN].map(alpha), [Some("config"); 3]);
    let epsilon = config.replace("\"layer_norm_epsilon\":0.00001", "\"layer_norm_epsilon\":1e-46");
    assert_ne!(epsilon, config);
    assert_eq!(Lab::new(&epsilon, &weights, None, Qkv::Fused).err().map(|e| e.code()), Some("config"));
}

#[test]
fn a_bad_adapter_is_refused_by_name_and_the_old_one_stays() {
    let (config, weights) = small_files(1);
    let mut lab = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
    lab.attach("good", &LoraConfig::default()).unwrap();
    let (good, json) = lab.export_adapter(None).unwrap();
    let (before, adapters) = (lab.logits(&[1, 2, 3], true).unwrap(), lab.adapters());
    let mut refuse = |safetensors: &[u8], config: &str, code: &str, named: &str| {
        let error = lab.import_adapter("bad", safetensors, config).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(lab.adapters(), adapters);
        assert_eq!(lab.logits(&[1, 2, 3], true).unwrap(), before);
    };
    // The header is text: a name in it changes by replacing bytes.
    let renamed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let text = good.windows(from.len()).position(|w| w == from.as_bytes()).expect("in the header");
        let mut bytes = good.clone();
        bytes[text..text + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    refuse(&renamed("base_model.model.", "base_modem.model."), &json, "missing-tensor", "lora_A");
    refuse(&good[..good.len() - 3], &json, "format", "adapter_model.safetensors");
    refuse(b"not a file", &json, "format", "adapter_model.safetensors");
    refuse(&good, "not json", "format", "adapter_config.json");
    refuse(&good, &json.replace("LORA", "IA3"), "unsupported", "IA3");
    refuse(&good, &json.replace("\"use_dora\": false", "\"use_dora\": true"), "unsupported", "use_dora");
    refuse(&good, &json.replace("\"bias\": \"none\"", "\"bias\": \"all\""), "unsupported", "all");
    refuse(&good, &json.replace("\"r\": 8", "\"r\": 4"), "shape", "lora_A");
    refuse(&good, &json.replace("\"r\": 8", "\"r\": 0"), "config", "rank");
    refuse(&good, &json.replace("\"r\": 8", "\"r\": 4000000000"), "config", "rank");
    let nan = {
        let mut bytes = good.clone();
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    };
    refuse(&nan, &json, "not-finite", "lora_");
    let more = LoraConfig { targets: lora_lab::lora::Modules::List(vec!["c_attn".into()]), ..LoraConfig::default() };
    let mut smaller = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
    smaller.attach("a", &more).unwrap();
    let (_, attention_only) = smaller.export_adapter(None).unwrap();
    refuse(&good, &attention_only, "unknown-tensor", "c_proj");
}

#[test]
fn noise_is_never_a_file() {
    let mut rng = Rng::new(3);
    for length in 0..200 {
        let bytes: Vec<u8> = (0..length).map(|_| rng.next_u64() as u8).collect();
        assert!(code(&bytes).is_some());
    }
}
