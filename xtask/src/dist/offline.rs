//! A visit without network: www/sw.js is told which files there are, and the pages are told to register it. `serve` does
//! neither, since there the next change has to be seen at once.

use crate::Result;
use crate::build::read;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Changes the pages, then lists every file of the folder with the SHA-256 of what it holds.
pub fn prepare(folder: &Path, files: &[PathBuf]) -> Result<()> {
    let mut hashes = Map::new();
    for file in files {
        let mut bytes = read(&folder.join(file))?;
        if file.extension().is_some_and(|extension| extension == "html") {
            let depth = file.components().count() - 1;
            let html = String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8", file.display()))?;
            bytes = registering(&html, depth).map_err(|e| format!("{}: {e}", file.display()))?.into_bytes();
            write(&folder.join(file), &bytes)?;
        }
        if is_kept(file) {
            hashes.insert(file.to_string_lossy().into_owned(), Value::String(hex(&bytes)));
        }
    }
    let version = hex(json!(hashes).to_string().as_bytes());
    let list = json!({ "version": version[..16], "files": hashes });
    write(&folder.join("sw-files.js"), format!("self.LORA_LAB = {list:#};\n").as_bytes())
}

/// Whether a reader without network could miss it. The script itself is the browser's to keep.
fn is_kept(file: &Path) -> bool {
    file != Path::new("sw.js") && !file.extension().is_some_and(|extension| extension == "md" || extension == "LICENSE")
}

/// The page with page/offline.js. The place for it has to be there once.
fn registering(html: &str, depth: usize) -> Result<String> {
    let count = html.matches("</head>").count();
    if count != 1 {
        return Err(format!("expected `</head>` once, got it {count} times"));
    }
    let up = "../".repeat(depth);
    Ok(html.replace("</head>", &format!("  <script type=\"module\" src=\"{up}page/offline.js\"></script>\n  </head>")))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(file, bytes).map_err(|e| format!("cannot write {}: {e}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_registers_from_its_own_depth() {
        let html = "<head><meta>\n  </head><body></body>";
        assert!(registering(html, 1).unwrap().contains("src=\"../page/offline.js\"></script>\n  </head>"));
        assert!(registering(html, 0).unwrap().contains("src=\"page/offline.js\""));
        for wrong in ["<head>", "<head></head></head>"] {
            assert!(registering(wrong, 0).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hashes_are_those_of_the_standard() {
        assert!(hex(b"abc").starts_with("ba7816bf8f01cfea"));
    }

    #[test]
    fn what_nobody_reads_in_a_page_is_not_kept() {
        assert!(is_kept(Path::new("models/tiny/model.safetensors")) && is_kept(Path::new("embed/index.html")));
        for not in ["models/tiny/README.md", "vendor/uPlot.LICENSE", "sw.js"] {
            assert!(!is_kept(Path::new(not)), "{not}");
        }
    }
}
