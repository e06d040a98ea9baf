//! dist-npm/: the modules of www/ as an npm package, with types made from their JSDoc.

use super::{is_shipped, references};
use crate::build::{copy, gzipped_size, read};
use crate::process::{self, MINUTE};
use crate::setup;
use crate::{Result, root};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a page or a bundler may name by its address. Under a version these stay where they are; docs/embedding.md says so,
/// and all else is ours to move.
const ADDRESSES: [&str; 14] = [
    "lora-lab.js",
    "element.js",
    "worker.js",
    "worker-start.js",
    "node.js",
    "pkg/lora_lab.js",
    "pkg/lora_lab_bg.wasm",
    "pkg/relaxed/lora_lab.js",
    "pkg/relaxed/lora_lab_bg.wasm",
    "models/tiny/config.json",
    "models/tiny/tokenizer.json",
    "models/tiny/model.safetensors",
    "vendor/uPlot.esm.js",
    "samples/pirate.txt",
];

pub fn package(www: &Path, files: &[PathBuf], to: &Path) -> Result<()> {
    let files: Vec<PathBuf> = files.iter().filter(|file| is_packed(file)).cloned().collect();
    let broken = references::broken(www, &files)?;
    if !broken.is_empty() {
        return Err(format!("the package refers to what it does not hold:\n  {}", broken.join("\n  ")));
    }
    if let Some(missing) = ADDRESSES.iter().find(|address| !files.iter().any(|file| file == Path::new(address))) {
        return Err(format!("the package promises {missing}, which www/ does not hold"));
    }
    for file in &files {
        copy(&www.join(file), &to.join(file))?;
    }
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&root().join(licence), &to.join(licence))?;
    }
    types(to)?;
    let write = |name: &str, text: String| {
        fs::write(to.join(name), text).map_err(|e| format!("cannot write {}: {e}", to.join(name).display()))
    };
    write("package.json", manifest()?)?;
    write("README.md", with_sizes(&setup::read(&root().join("npm/README.md"))?, &sizes(to)?)?)
}

/// Not our own pages, nor what keeps them for a visit without network.
fn is_packed(path: &Path) -> bool {
    let is_page = path.extension().is_some_and(|extension| extension == "html" || extension == "css");
    let ours = ["page.js", "language.js", "offline.js", "sw.js", "icon.svg"].map(Path::new);
    is_shipped(path) && !path.starts_with("embed") && !ours.contains(&path) && (path.starts_with("vendor") || !is_page)
}

/// Declarations beside every module that can be reached from the ones that are exported.
fn types(to: &Path) -> Result<()> {
    setup::npm_packages()?;
    let mut tsc = Command::new("node");
    tsc.current_dir(root()).args(["node_modules/typescript/bin/tsc", "--project", "npm/tsconfig.json", "--outDir"]);
    process::run(tsc.arg(to), 3 * MINUTE)?;
    // JSDoc cannot declare what an element's name means to the document.
    let element = to.join("element.d.ts");
    let declared = setup::read(&element)?
        + "declare global {\n    interface HTMLElementTagNameMap {\n        \"lora-lab\": LoraLabElement;\n    }\n}\n";
    fs::write(&element, declared).map_err(|e| format!("cannot write {}: {e}", element.display()))
}

/// npm/package.json, once its version is that of the library.
fn manifest() -> Result<String> {
    let library = setup::read(&root().join("Cargo.toml"))?;
    let library = library.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    let manifest = setup::read(&root().join("npm/package.json"))?;
    let package: Value = serde_json::from_str(&manifest).map_err(|e| format!("npm/package.json: {e}"))?;
    let package = package["version"].as_str();
    if library.is_some() && library == package {
        Ok(manifest)
    } else {
        Err(format!("npm/package.json has the version {package:?}, expected that of Cargo.toml, {library:?}"))
    }
}

/// A line for each address that stays, and one for all else.
fn sizes(folder: &Path) -> Result<String> {
    let mut table = String::from("| file | bytes | gzipped |\n|---|---:|---:|\n");
    for address in ADDRESSES {
        let bytes = read(&folder.join(address))?;
        table += &format!("| `{address}` | {} | {} |\n", bytes.len(), gzipped_size(&bytes)?);
    }
    Ok(table)
}

const SIZES: &str = "<!-- sizes -->\n";

fn with_sizes(readme: &str, table: &str) -> Result<String> {
    match readme.split_once(SIZES) {
        Some((before, after)) => Ok(format!("{before}{table}{after}")),
        None => Err(format!("npm/README.md has no line `{}` for the table of sizes", SIZES.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_what_they_load_are_packed_and_pages_are_not() {
        for packed in
            ["lora-lab.js", "view/dom.js", "pkg/lora_lab_bg.wasm", "vendor/uPlot.min.css", "samples/robot.txt"]
        {
            assert!(is_packed(Path::new(packed)), "{packed}");
        }
        for not in ["index.html", "page.js", "page.css", "embed/frame.js", "sw.js", "vendor.json", "builtins.d.ts"] {
            assert!(!is_packed(Path::new(not)), "{not}");
        }
    }

    #[test]
    fn the_package_has_the_version_of_the_library() {
        assert!(manifest().unwrap().contains("\"exports\""));
    }

    #[test]
    fn the_table_of_sizes_has_its_place() {
        assert_eq!(with_sizes("a\n<!-- sizes -->\nb\n", "| x |\n").unwrap(), "a\n| x |\nb\n");
        assert!(with_sizes("a\n", "").is_err());
    }
}
