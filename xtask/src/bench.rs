//! `cargo xtask bench`: single kernels, natively, in benches/native. `cargo xtask bench web`: what the browser's figures need, built; the measuring
//! itself is JavaScript, in benches/web.

use crate::build::Build;
use crate::process::{self, MINUTE};
use crate::{Result, build, native_cargo, root, setup};
use std::path::Path;
use std::process::Command;

/// A whole run takes some ten minutes on a quiet machine.
const LIMIT: std::time::Duration = MINUTE.saturating_mul(40);

/// The page is built with these for size. What is compared with candle gives it all its speed.
const FAST: [&str; 4] = ["candle-core", "candle-nn", "gemm-common", "gemm-f32"];

/// `args` go to criterion: a word that the measured kernels' names contain, `--save-baseline NAME`, `--baseline NAME`.
pub fn native(args: &[&str]) -> Result<()> {
    let mut cargo = native_cargo("bench", "benches/native/Cargo.toml");
    process::run(cargo.current_dir(root()).arg("--").args(args), LIMIT)
}

/// `args`: the parts to run, all if there is none, and `--quick`.
pub fn web(args: &[&str]) -> Result<()> {
    setup::npm_packages()?;
    let browser = setup::browser()?;
    build::run()?;
    engine(Build::Plain, "simd128")?;
    engine(Build::Relaxed, "relaxed-simd")?;
    let whole = args.iter().all(|arg| arg.starts_with("--"));
    if args.contains(&"peers") || whole && !args.contains(&"--quick") {
        peers()?;
    }
    let mut node = Command::new("node");
    node.current_dir(root()).arg("benches/web/run.js").args(args).env("CHROMIUM", browser.chromium);
    process::run(&mut node, LIMIT)
}

/// The wasm module that holds plain candle and the kernels, into a folder of target/figures that is named after the instruction set.
fn engine(build: Build, name: &str) -> Result<()> {
    let wasm_bindgen = setup::wasm_bindgen()?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["build", "--release", "--package", "lora-lab-bench", "--target", setup::WASM]);
    for package in FAST {
        cargo.args(["--config", &format!("profile.release.package.{package}.opt-level=3")]);
    }
    build.configure(&mut cargo)?;
    process::run(&mut cargo, build::LIMIT)?;
    let input = build.target_folder()?.join(setup::WASM).join("release/lora_lab_bench.wasm");
    let mut bindgen = Command::new(wasm_bindgen);
    let folder = root().join("target/figures").join(name);
    process::run(bindgen.args(["--target", "web", "--out-dir"]).arg(folder).arg(input), 5 * MINUTE)
}

/// The other libraries, which nothing but this needs.
fn peers() -> Result<()> {
    let folder = root().join("benches/web");
    if is_installed(&folder)? {
        return Ok(());
    }
    println!("installing the peers' npm packages");
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
    process::run(&mut npm, 10 * MINUTE)
}

fn is_installed(folder: &Path) -> Result<bool> {
    let wanted = setup::read(&folder.join("package-lock.json"))?;
    let installed = std::fs::read_to_string(folder.join("node_modules/.package-lock.json")).unwrap_or_default();
    Ok(setup::npm_is_up_to_date(&wanted, &installed))
}
