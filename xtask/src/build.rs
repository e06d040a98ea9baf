//! What the browser loads and the repository does not hold: www/pkg (WebAssembly) and www/vendor (npm files).

use crate::process::{self, MINUTE, output};
use crate::{Result, root, setup};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

/// A page with more to load than this is not ready within seconds on an ordinary line.
const LARGEST_WASM: usize = 1_500_000;

/// One build with fat link-time optimisation: minutes on two cores when everything is to be compiled.
pub const LIMIT: std::time::Duration = MINUTE.saturating_mul(25);

/// One source for two instruction sets, of which whoever loads the engine takes one.
#[derive(Clone, Copy, PartialEq)]
pub enum Build {
    /// simd128: the same bits in every browser.
    Plain,
    /// With relaxed-simd as well: multiplication and addition in one, rounded once or twice as the processor likes.
    Relaxed,
}

impl Build {
    fn folder(self) -> &'static str {
        match self {
            Build::Plain => "www/pkg",
            Build::Relaxed => "www/pkg/relaxed",
        }
    }

    /// Where cargo compiles it. In one folder each build would overwrite the other's library, and none would ever be up to date.
    pub fn target_folder(self) -> Result<PathBuf> {
        let folder = target_folder()?;
        Ok(if self == Build::Relaxed { folder.join("relaxed") } else { folder })
    }

    /// Makes cargo, or what calls it, compile for this instruction set.
    pub fn configure(self, command: &mut Command) -> Result<()> {
        // RUSTFLAGS would replace the flags of .cargo/config.toml, and SIMD with them; this variable is joined with them.
        const JOINED: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS";
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove(JOINED);
        command.env("CARGO_TARGET_DIR", self.target_folder()?);
        if self == Build::Relaxed {
            command.env(JOINED, "-C target-feature=+relaxed-simd");
        }
        Ok(())
    }
}

pub fn run() -> Result<()> {
    // An older version of the tool may have left files of other names.
    remove(&root().join(Build::Plain.folder()))?;
    wasm(Build::Plain)?;
    wasm(Build::Relaxed)?;
    vendor()
}

/// Builds unless something is there, whatever its age: a release build takes minutes.
pub fn if_missing() -> Result<()> {
    if root().join(Build::Plain.folder()).join("lora_lab.d.ts").exists() { Ok(()) } else { run() }
}

/// Compiles the library and generates its JavaScript; fails when the result has outgrown the page.
fn wasm(build: Build) -> Result<()> {
    setup::wasm_target()?;
    let wasm_bindgen = setup::wasm_bindgen()?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["build", "--release", "--lib", "--package", "lora-lab", "--target", setup::WASM]);
    build.configure(&mut cargo)?;
    process::run(&mut cargo, LIMIT)?;

    let input = build.target_folder()?.join(setup::WASM).join("release/lora_lab.wasm");
    let folder = root().join(build.folder());
    let mut bindgen = Command::new(wasm_bindgen);
    process::run(bindgen.args(["--target", "web", "--out-dir"]).arg(&folder).arg(input), 5 * MINUTE)?;

    let name = format!("{}/lora_lab_bg.wasm", build.folder());
    let bytes = read(&root().join(&name))?;
    let gzipped = gzipped_size(&bytes)?;
    println!("{name}: {:.2} MB, {:.2} MB gzipped", megabytes(bytes.len()), megabytes(gzipped));
    if gzipped > LARGEST_WASM {
        return Err(format!(
            "{name} has {gzipped} bytes gzipped, at most {LARGEST_WASM} are allowed: see what was added"
        ));
    }
    Ok(())
}

/// Copies what www/vendor.json lists, paths as seen from the root of the repository.
fn vendor() -> Result<()> {
    setup::npm_packages()?;
    let root = root();
    remove(&root.join("www/vendor"))?;
    for (from, to) in vendor_list(&setup::read(&root.join("www/vendor.json"))?)? {
        let copied = copy(&root.join(&from), &root.join(to));
        copied.map_err(|e| format!("{e}: www/vendor.json lists it; is its package in package.json?"))?;
    }
    Ok(())
}

fn vendor_list(json: &str) -> Result<Vec<(PathBuf, PathBuf)>> {
    let wrong =
        || "www/vendor.json is not a list of { \"from\": \"node_modules/…\", \"to\": \"www/vendor/…\" }".to_owned();
    let list: Value = serde_json::from_str(json).map_err(|_| wrong())?;
    // What lies in www/vendor is removed before each build, so nothing else may be written there or elsewhere.
    let inside = |path: &Value, folder| {
        let path = PathBuf::from(path.as_str()?);
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        (plain && path.starts_with(folder)).then_some(path)
    };
    let pair = |entry: &Value| {
        inside(&entry["from"], "node_modules").zip(inside(&entry["to"], "www/vendor")).ok_or_else(wrong)
    };
    list.as_array().ok_or_else(wrong)?.iter().map(pair).collect()
}

/// Cargo's target folder, which the environment may have moved.
pub fn target_folder() -> Result<PathBuf> {
    let metadata =
        output(Command::new("cargo").current_dir(root()).args(["metadata", "--no-deps", "--format-version=1"]));
    let metadata = metadata.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let folder = metadata.as_ref().and_then(|m| m["target_directory"].as_str());
    Ok(folder.ok_or("`cargo metadata` fails: run it to see why")?.into())
}

/// The size as a web server would send it. Every system that builds this has gzip, so no compressor is compiled in.
pub fn gzipped_size(bytes: &[u8]) -> Result<usize> {
    let mut gzip = Command::new("gzip");
    gzip.args(["-9", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = gzip.spawn().map_err(|e| format!("cannot start gzip: {e}"))?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // Both pipes are bounded: one thread writes while this one reads.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(bytes));
        child.wait_with_output()
    });
    let output = output.map_err(|e| format!("gzip: {e}"))?;
    if output.status.success() { Ok(output.stdout.len()) } else { Err(format!("gzip failed ({})", output.status)) }
}

pub fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

pub fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

/// Copies a file, making the folders that it needs.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let made = to.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::copy(from, to))
        .map_err(|e| format!("cannot copy {} to {}: {e}", from.display(), to.display()))?;
    Ok(())
}

/// Removes a folder that we made, if it is there.
pub fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("cannot remove {}: {e}", folder.display())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gzipped_size_of_many_equal_bytes_is_small_and_of_none_is_a_header() {
        assert!(gzipped_size(&vec![7; 1 << 20]).unwrap() < 2000);
        assert!(gzipped_size(b"").unwrap() <= 20);
    }

    #[test]
    fn vendored_files_come_from_node_modules_and_stay_in_their_folder() {
        let (from, to) = ("node_modules/uplot/dist/uPlot.esm.js", "www/vendor/uPlot.esm.js");
        let entry = |from, to| format!(r#"[{{"from": "{from}", "to": "{to}"}}]"#);
        assert_eq!(vendor_list(&entry(from, to)).unwrap(), [(from.into(), to.into())]);
        for (from, to) in
            [("src/lib.rs", to), (from, "www/index.html"), (from, "www/vendor/../a"), (from, "/www/vendor/a")]
        {
            assert!(vendor_list(&entry(from, to)).is_err(), "{from} to {to}");
        }
        for wrong in ["{}", "[{}]", "not json"] {
            assert!(vendor_list(wrong).is_err(), "{wrong}");
        }
    }
}
