//! Format, lints on both targets, types: what a commit should pass, under a minute when warm.

use crate::process::{self, MINUTE};
use crate::{Result, build, root, setup};
use std::path::Path;
use std::process::Command;

pub fn run() -> Result<()> {
    setup::wasm_target()?;
    setup::lints()?;
    setup::npm_packages()?;
    let mut failed = Vec::new();
    let mut step = |name: &'static str, mut command: Command| {
        println!("{name}");
        if let Err(error) = process::run(&mut command, 15 * MINUTE) {
            println!("{error}");
            failed.push(name);
        }
    };
    step("format", cargo(&["fmt", "--all", "--check"]));
    // As an argument, not in RUSTFLAGS: those would replace .cargo/config.toml's and rebuild every dependency.
    step("lints, native", cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    let wasm = [
        "clippy",
        "--quiet",
        "--package",
        "lora-lab",
        "--lib",
        "--tests",
        "--target",
        setup::WASM,
        "--",
        "-D",
        "warnings",
    ];
    step("lints, wasm32", cargo(&wasm));
    // The types of the wasm class are generated. They are only made when there are none: a release build takes
    // minutes, and `test` checks types after it.
    build::if_missing()?;
    step("types", tsc());
    if failed.is_empty() { Ok(()) } else { Err(format!("check failed: {}", failed.join("; "))) }
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root()).args(args).env_remove("RUSTFLAGS");
    command
}

/// The type checker, on the settings of tsconfig.json.
pub fn tsc() -> Command {
    let mut command = Command::new("node");
    command.current_dir(root()).arg(Path::new("node_modules/typescript/bin/tsc")).args([
        "--noEmit",
        "--project",
        "tsconfig.json",
    ]);
    command
}
