//! Every suite, one after the other, each bounded in time; the last line is the sum.

use crate::build::{self, Build};
use crate::counts::{Counts, Runner};
use crate::process::{self, MINUTE, Outcome};
use crate::{Result, check, dist, root, setup};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// All suites together: CI ends a run after 90 minutes, and then nobody learns which suite it was.
const ALL: Duration = MINUTE.saturating_mul(80);

/// What a suite came to: its name, its counts, its time and, beside the counts, what no runner counted.
pub type Ran = (&'static str, Counts, Duration, Option<String>);

struct Suite {
    name: &'static str,
    runner: Runner,
    limit: Duration,
    command: fn() -> Result<Command>,
}

const SUITES: [Suite; 7] = [
    Suite { name: "native", runner: Runner::Cargo, limit: MINUTE.saturating_mul(30), command: native },
    Suite { name: "wasm", runner: Runner::Cargo, limit: MINUTE.saturating_mul(25), command: wasm },
    Suite { name: "wasm-relaxed", runner: Runner::Cargo, limit: MINUTE.saturating_mul(25), command: wasm_relaxed },
    Suite { name: "types", runner: Runner::Whole, limit: MINUTE.saturating_mul(3), command: types },
    Suite { name: "js", runner: Runner::Node, limit: MINUTE.saturating_mul(15), command: js },
    Suite { name: "page", runner: Runner::Node, limit: MINUTE.saturating_mul(20), command: page },
    Suite { name: "dist", runner: Runner::Node, limit: MINUTE.saturating_mul(8), command: dist },
];

pub fn run(names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| SUITES.iter().all(|suite| suite.name != **name)) {
        let known = SUITES.map(|suite| suite.name).join(", ");
        return Err(format!("there is no suite `{unknown}`: there are {known}"));
    }
    let chosen: Vec<&Suite> = SUITES.iter().filter(|s| names.is_empty() || names.contains(&s.name)).collect();
    let end = Instant::now() + ALL;
    let mut results = Vec::new();
    // What the browser loads, for every suite of JavaScript. A failure is counted, and the other suites still run.
    if chosen.iter().any(|suite| matches!(suite.name, "types" | "js" | "page" | "dist")) {
        let start = Instant::now();
        println!("\n── build");
        let built = build::run();
        let failed = built.is_err().into();
        results.push(("build", Counts { failed, ..Counts::default() }, start.elapsed(), built.err()));
    }
    for suite in chosen {
        let limit = suite.limit.min(end.saturating_duration_since(Instant::now()));
        results.push(run_suite(suite.name, suite.runner, limit, suite.command));
    }
    sum_up(results)
}

/// A line for each and the sum, which is an error if anything failed.
pub fn sum_up(results: Vec<Ran>) -> Result<()> {
    let mut sum = Counts::default();
    println!();
    for (name, counts, time, error) in results {
        let error = error.map(|error| format!("  ({error})")).unwrap_or_default();
        println!("{name:12} {:6.1} s  {counts}{error}", time.as_secs_f64());
        sum += counts;
    }
    // The last line, which CI reads: nothing may follow it.
    println!("{sum}");
    if sum.failed == 0 { Ok(()) } else { Err(String::new()) }
}

/// Runs one suite, prints what it says, and counts.
pub fn run_suite(
    name: &'static str,
    runner: Runner,
    limit: Duration,
    command: impl FnOnce() -> Result<Command>,
) -> Ran {
    let start = Instant::now();
    println!("\n── {name}");
    let mut counts = Counts::default();
    let outcome = command().and_then(|mut command| {
        process::stream(&mut command, limit, |line| {
            println!("{line}");
            counts.read(runner, line);
        })
    });
    let (succeeded, error) = match outcome {
        Ok(Outcome::Exited(status)) if status.success() => (true, None),
        Ok(Outcome::Exited(status)) => (false, Some(status.to_string())),
        Ok(Outcome::TimedOut) => (false, Some(format!("stopped after {} s", limit.as_secs()))),
        Err(error) => (false, Some(error)),
    };
    let judged = counts.judged(runner, succeeded);
    let silent = succeeded && counts.passed + counts.failed == 0 && judged.failed > 0;
    let error = error.or_else(|| silent.then(|| "ran no test".to_owned()));
    if let Some(error) = &error {
        println!("{name}: {error}");
    }
    (name, judged, start.elapsed(), error)
}

fn native() -> Result<Command> {
    let mut command = Command::new("cargo");
    // All binaries, also after one has failed; doc tests come last.
    command.args(["test", "--workspace", "--no-fail-fast"]);
    Ok(prepared(command))
}

fn wasm() -> Result<Command> {
    wasm_pack(Build::Plain)
}

fn wasm_relaxed() -> Result<Command> {
    wasm_pack(Build::Relaxed)
}

/// The core's tests in a browser, compiled for an instruction set.
fn wasm_pack(build: Build) -> Result<Command> {
    setup::wasm_target()?;
    let wasm_bindgen = setup::wasm_bindgen()?;
    let wasm_pack = setup::wasm_pack()?;
    let browser = setup::browser()?;
    let mut command = Command::new(&wasm_pack);
    // The driver is named, or wasm-pack might fetch one that is newer than the browser.
    command.args(["test", "--headless", "--chrome", "--chromedriver"]).arg(&browser.driver);
    command.env("PATH", setup::path_with(&[&wasm_bindgen, &browser.chromium]));
    build.configure(&mut command)?;
    Ok(prepared(command))
}

fn types() -> Result<Command> {
    setup::npm_packages()?;
    Ok(check::tsc())
}

fn js() -> Result<Command> {
    setup::npm_packages()?;
    node_test("tests/js")
}

fn page() -> Result<Command> {
    setup::npm_packages()?;
    setup::devanagari()?;
    let browser = setup::browser()?;
    let mut command = node_test("tests/page")?;
    command.env("CHROMIUM", browser.chromium);
    Ok(command)
}

/// What others get, made anew and used as they use it.
fn dist() -> Result<Command> {
    dist::assemble()?;
    setup::npm_packages_of("tests/dist")?;
    let browser = setup::browser()?;
    let mut command = node_test("tests/dist")?;
    command.env("CHROMIUM", browser.chromium);
    Ok(command)
}

/// `node --test` on the files of a folder. They are named one by one, since Node 20 and 22 read a folder's name differently.
fn node_test(folder: &str) -> Result<Command> {
    let mut files = Vec::new();
    test_files(&root().join(folder), &mut files).map_err(|e| format!("cannot list {folder}: {e}"))?;
    files.sort();
    if files.is_empty() {
        return Err(format!("{folder} has no *.test.js"));
    }
    Ok(node_test_of(files, 10 * MINUTE))
}

/// `node --test` on these files, each test within a limit. The files run one after the other: each may start a browser and train in it, and
/// machines have as few as two cores.
pub fn node_test_of(files: impl IntoIterator<Item = PathBuf>, limit: Duration) -> Command {
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=spec", "--test-concurrency=1"]);
    command.arg(format!("--test-timeout={}", limit.as_millis())).args(files);
    prepared(command)
}

fn test_files(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "node_modules" {
            test_files(&path, files)?;
        } else if name.ends_with(".test.js") || name.ends_with(".test.mjs") {
            files.push(path);
        }
    }
    Ok(())
}

/// In the repository; and on CI, where all must be there, a test that misses ../shared has to fail instead of being skipped.
fn prepared(mut command: Command) -> Command {
    command.current_dir(root());
    if std::env::var("CI").is_ok_and(|ci| ci == "true") {
        command.env("LORA_LAB_REQUIRE_SHARED", "1");
    }
    command
}
