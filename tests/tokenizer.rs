//! Text to tokens and back, whole and streamed.
#![cfg(not(target_arch = "wasm32"))]

use lora_lab::tokenizer::{END_OF_TEXT, StreamDecoder, Tokenizer};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn tiny() -> Tokenizer {
    Tokenizer::from_json(&std::fs::read_to_string(root().join("www/models/tiny/tokenizer.json")).unwrap()).unwrap()
}

#[test]
fn every_text_comes_back_as_it_was() {
    let tokenizer = tiny();
    for text in [
        "",
        " ",
        "Once upon a time",
        "  two  spaces\n\ttab",
        "naïve café – “quoted”",
        "नमस्ते दुनिया",
        "👩‍🚀🚀",
        "\u{0}\u{7f}",
    ] {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocabulary()));
    }
}

#[test]
fn the_end_of_text_is_one_token_and_prints_as_nothing() {
    let tokenizer = tiny();
    let end = tokenizer.end_of_text().unwrap();
    assert_eq!(tokenizer.encode(END_OF_TEXT).unwrap(), [end]);
    let ids = tokenizer.encode(&format!("One.{END_OF_TEXT}Two.")).unwrap();
    assert_eq!(ids.iter().filter(|&&id| id == end).count(), 1);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "One.Two.");
}

#[test]
fn a_stream_never_shows_half_a_character_and_adds_up_to_the_whole() {
    let tokenizer = tiny();
    for text in ["Once upon a time", "नमस्ते, दुनिया!", "a 👩‍🚀 b", "éèê"] {
        let mut stream = StreamDecoder::default();
        let mut shown = String::new();
        for id in tokenizer.encode(text).unwrap() {
            let piece = stream.push(id, &tokenizer).unwrap();
            assert!(!piece.contains('\u{FFFD}'), "{piece:?}");
            shown += &piece;
        }
        shown += &stream.flush(&tokenizer).unwrap();
        assert_eq!(shown, text);
    }
}

#[test]
fn what_is_cut_inside_a_character_is_flushed_as_a_replacement() {
    let tokenizer = tiny();
    let ids = tokenizer.encode("न").unwrap();
    assert!(ids.len() > 1);
    let mut stream = StreamDecoder::default();
    assert_eq!(stream.push(ids[0], &tokenizer).unwrap(), "");
    assert!(stream.flush(&tokenizer).unwrap().contains('\u{FFFD}'));
}

#[test]
fn gpt2s_tokenizer_gives_the_reference_encodings() {
    let folder = root().join("../shared/models/gpt2-tokenizer");
    if !folder.exists() {
        assert!(std::env::var_os("LORA_LAB_REQUIRE_SHARED").is_none(), "{} is missing", folder.display());
        say_skipped(&folder);
        return;
    }
    let tokenizer = Tokenizer::from_json(&std::fs::read_to_string(folder.join("tokenizer.json")).unwrap()).unwrap();
    let reference: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("reference.json")).unwrap()).unwrap();
    let mut compared = 0;
    for case in cases(&reference) {
        let (text, want) = case;
        assert_eq!(tokenizer.encode(&text).unwrap(), want, "{text:?}");
        compared += 1;
    }
    assert!(compared > 3, "{compared} cases");
}

/// Written to stderr itself, since the test runner captures eprintln!: `cargo xtask test` counts these lines.
fn say_skipped(path: &std::path::Path) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {} is missing", path.display());
}

/// Pairs of text and ids, wherever they stand in the reference.
fn cases(value: &serde_json::Value) -> Vec<(String, Vec<u32>)> {
    let ids = |value: &serde_json::Value| -> Option<Vec<u32>> {
        value.as_array()?.iter().map(|id| id.as_u64().map(|id| id as u32)).collect()
    };
    match value {
        serde_json::Value::Object(map) => {
            let text = map.get("text").and_then(|t| t.as_str());
            match (text, map.get("ids").and_then(ids)) {
                (Some(text), Some(ids)) => vec![(text.to_owned(), ids)],
                _ => map.values().flat_map(cases).collect(),
            }
        }
        serde_json::Value::Array(list) => list.iter().flat_map(cases).collect(),
        _ => Vec::new(),
    }
}
