//! dist-npm/: the modules of www/ as an npm package, with types made from their JSDoc.

use super::{files_of, is_shipped, references};
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
    let readme = setup::read(&root().join("npm/README.md"))?;
    let readme = with_table(&readme, SIZES, &sizes(to)?)?;
    write("README.md", with_table(&readme, VIEWS, &views()?)?)
}

/// Not our own pages, nor what keeps them for a visit without network.
fn is_packed(path: &Path) -> bool {
    let is_page = path.extension().is_some_and(|extension| extension == "html" || extension == "css");
    let is_ours = ["embed", "page", "sw.js", "icon.svg"].iter().any(|ours| path.starts_with(ours));
    is_shipped(path) && !is_ours && (path.starts_with("vendor") || !is_page)
}

/// Declarations beside every module that can be reached from the ones that are exported.
fn types(to: &Path) -> Result<()> {
    setup::npm_packages()?;
    let mut tsc = Command::new("node");
    tsc.current_dir(root()).args(["node_modules/typescript/bin/tsc", "--project", "npm/tsconfig.json", "--outDir"]);
    process::run(tsc.arg(to), 3 * MINUTE)?;
    // JSDoc cannot declare what an element's name means to the document.
    let element = to.join("element/element.d.ts");
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

/// A line for each address that stays, one for all else, and one for the whole. The README that will hold it is not weighed.
fn sizes(folder: &Path) -> Result<String> {
    let mut table = String::from("| file | bytes | gzipped |\n|---|---:|---:|\n");
    let (mut rest, mut all) = (Size::default(), Size::default());
    let others: Vec<PathBuf> = files_of(folder)?
        .into_iter()
        .filter(|file| !ADDRESSES.iter().any(|address| file == Path::new(address)))
        .collect();
    for address in ADDRESSES {
        let size = Size::of(&folder.join(address))?;
        all += size;
        table += &format!("| `{address}` | {} | {} |\n", size.bytes, size.gzipped);
    }
    for file in &others {
        rest += Size::of(&folder.join(file))?;
    }
    all += rest;
    table += &format!("| {} other files | {} | {} |\n", others.len(), rest.bytes, rest.gzipped);
    table += &format!("| all {} | {} | {} |\n", ADDRESSES.len() + others.len(), all.bytes, all.gzipped);
    Ok(table)
}

#[derive(Clone, Copy, Default)]
struct Size {
    bytes: usize,
    gzipped: usize,
}

impl Size {
    fn of(file: &Path) -> Result<Self> {
        let bytes = read(file)?;
        Ok(Self { bytes: bytes.len(), gzipped: gzipped_size(&bytes)? })
    }
}

impl std::ops::AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.gzipped += other.gzipped;
    }
}

/// What each view downloads: docs/embedding.md has the table, and a test that measures it in a browser.
fn views() -> Result<String> {
    let page = setup::read(&root().join("docs/embedding.md"))?;
    let table = page.split_once(VIEWS).and_then(|(_, after)| after.split_once("<!-- end of views -->"));
    table.map(|(table, _)| table.to_owned()).ok_or_else(|| "docs/embedding.md has no table of views".into())
}

const SIZES: &str = "<!-- sizes -->\n";
const VIEWS: &str = "<!-- views -->\n";

/// The README with a table in the place of a mark.
fn with_table(readme: &str, mark: &str, table: &str) -> Result<String> {
    match readme.split_once(mark) {
        Some((before, after)) => Ok(format!("{before}{table}{after}")),
        None => Err(format!("npm/README.md has no line `{}` for a table", mark.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_what_they_load_are_packed_and_pages_are_not() {
        for packed in
            ["lora-lab.js", "element/view/dom.js", "pkg/lora_lab_bg.wasm", "vendor/uPlot.min.css", "samples/robot.txt"]
        {
            assert!(is_packed(Path::new(packed)), "{packed}");
        }
        for not in
            ["index.html", "page/page.js", "page/page.css", "embed/frame.js", "sw.js", "vendor.json", "builtins.d.ts"]
        {
            assert!(!is_packed(Path::new(not)), "{not}");
        }
    }

    #[test]
    fn the_package_has_the_version_of_the_library() {
        assert!(manifest().unwrap().contains("\"exports\""));
    }

    #[test]
    fn a_table_takes_the_place_of_its_mark() {
        assert_eq!(with_table("a\n<!-- sizes -->\nb\n", SIZES, "| x |\n").unwrap(), "a\n| x |\nb\n");
        assert!(with_table("a\n", SIZES, "").is_err());
    }

    #[test]
    fn the_docs_have_a_table_of_views() {
        let table = views().unwrap();
        assert!(table.starts_with("| ") && table.ends_with("|\n") && table.contains("`compact`"), "{table}");
    }

    #[test]
    fn the_sizes_are_those_of_the_addresses_of_all_else_and_of_both() {
        let folder = std::env::temp_dir().join(format!("lora-lab-sizes-{}", std::process::id()));
        for (index, file) in ADDRESSES.iter().chain(&["other.js", "element/another.js"]).enumerate() {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x".repeat(index)).unwrap();
        }
        let table = sizes(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let row = |start: &str| table.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
        let bytes = |start: &str| row(start).split(" | ").nth(1).unwrap().parse::<usize>().unwrap();
        assert_eq!(bytes("| `element.js`"), 1);
        assert_eq!(bytes("| 2 other files"), 14 + 15);
        assert_eq!(bytes("| all 16"), (0..16).sum::<usize>());
    }
}
