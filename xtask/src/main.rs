//! `cargo xtask …`: everything that is done to the repository, in Rust instead of shell.
//!
//! A module has one reason: `setup` installs what is missing, `build` makes what the browser loads, `serve`, `test`,
//! `dist`, `check`, `soak`, `peft` and `bench` are the commands, `counts` reads test runners, `process` starts, bounds and ends other programs.

mod bench;
mod build;
mod check;
mod counts;
mod dist;
mod peft;
mod process;
mod serve;
mod setup;
mod soak;
mod test;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// An error is one line that says what to do; nobody matches on it.
type Result<T, E = String> = std::result::Result<T, E>;

const USAGE: &str = "\
usage: cargo xtask <command>

  serve [--port N] [--open]  install what is missing, build, and serve www/ on localhost
  test [SUITE …]             every test suite, or only those named: native wasm wasm-relaxed types js page dist
  soak [--sequences N] [--real N]
                             the random tests at length, 90 minutes at most: N sequences of actions with the double of the engine
                             (20000 unless told otherwise) and N with the engine itself (200)
  peft                       adapters and an exported run against real PyTorch and PEFT, in a Python environment of its own
  build                      WebAssembly into www/pkg, once for simd128 and once for relaxed-simd, npm files into www/vendor
  dist [--no-build]          dist/, the page for any static host, and dist-npm/, a package
  check                      format, lints on both targets, types
  bench [NAME]               single kernels, natively, each checked against its definition and beside candle's own operation
  bench web [PART …]         the figures, in headless Chromium: page steps kernels growth peers; --quick to try it out
  pretrain --corpus FILE …   train the tiny checkpoint anew, natively: an hour or two";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.split_first() {
        Some((&"serve", rest)) => serve::Options::parse(rest).and_then(serve::run),
        Some((&"test", rest)) => test::run(rest),
        Some((&"soak", rest)) => soak::run(rest),
        Some((&"peft", [])) => peft::run(),
        Some((&"build", [])) => build::run(),
        Some((&"dist", rest)) => dist::run(rest),
        Some((&"check", [])) => check::run(),
        Some((&"bench", ["web", rest @ ..])) => bench::web(rest),
        Some((&"bench", rest)) => bench::native(rest),
        Some((&"pretrain", rest)) => pretrain(rest),
        None | Some((&("help" | "--help" | "-h"), _)) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => Err(format!("`cargo xtask {}` is not a command\n\n{USAGE}", args.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // `test` and `soak` have already said all on their last line, which has to stay the last.
            if !message.is_empty() {
                eprintln!("error: {message}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Becomes the program of its own that pretrains. As a part of this one it would make everybody who only wants
/// to see the page compile the model natively first.
fn pretrain(args: &[&str]) -> Result<()> {
    // The reader's folder stays the current one: paths among the arguments are meant from there.
    let mut command = native_cargo("run", "pretrain/Cargo.toml");
    Err(format!("cannot start cargo: {}", command.args(["--quiet", "--"]).args(args).exec()))
}

/// Cargo on one package, built for this very processor, in a folder of its own: other flags there would make other builds start anew.
fn native_cargo(command: &str, manifest: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args([command, "--profile", "native", "--manifest-path"]).arg(root().join(manifest));
    cargo.arg("--target-dir").arg(root().join("target/native")).env("RUSTFLAGS", "-C target-cpu=native");
    cargo
}

/// The repository that this program was run in. Cargo says it at run time too, which holds when clones share a target folder.
fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).parent().expect("xtask lies in the repository").to_owned()
}
