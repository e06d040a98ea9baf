//! What is missing gets installed; what is there is left alone, silently.

use crate::process::{self, MINUTE, is_executable, output, which};
use crate::{Result, root};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const WASM: &str = "wasm32-unknown-unknown";

/// The version that the tests are known to pass with; one that is there already is taken as it is.
const WASM_PACK: &str = "0.15.1";

/// Compiling a tool from source takes minutes on two cores, downloads as long as they like.
const INSTALL_LIMIT: std::time::Duration = MINUTE.saturating_mul(20);

/// The standard library for WebAssembly.
pub fn wasm_target() -> Result<()> {
    let folder = output(Command::new("rustc").current_dir(root()).args(["--print", "target-libdir", "--target", WASM]));
    if folder.is_some_and(|folder| Path::new(&folder).is_dir()) {
        return Ok(());
    }
    // The toolchain file names the target too, but rustup does not act on it when RUSTUP_AUTO_INSTALL=0.
    let command = format!("rustup target add {WASM}");
    install("rustup", &command, "install rustup (https://rustup.rs), or your distribution's Rust for wasm32")
}

/// The formatter and the linter.
pub fn lints() -> Result<()> {
    let there = |tool| output(Command::new("cargo").current_dir(root()).args([tool, "--version"])).is_some();
    if there("fmt") && there("clippy") {
        return Ok(());
    }
    install("rustup", "rustup component add rustfmt clippy", "install rustfmt and clippy for your Rust")
}

/// `wasm-bindgen` of exactly the version that the library was compiled against: any other refuses its output.
pub fn wasm_bindgen() -> Result<PathBuf> {
    let lock = read(&root().join("Cargo.lock"))?;
    let version =
        locked_version(&lock, "wasm-bindgen").ok_or("Cargo.lock names no wasm-bindgen: run `cargo update -w`")?;
    let right = |tool: &Path| {
        // wasm-pack also wants the test runner, which the same package installs beside it.
        is_executable(&tool.with_file_name("wasm-bindgen-test-runner"))
            && output(Command::new(tool).arg("--version")).is_some_and(|line| line.ends_with(&format!(" {version}")))
    };
    let own = root().join("target/tools");
    let own_tool = own.join("bin/wasm-bindgen");
    let on_path = which("wasm-bindgen");
    if let Some(tool) = [&own_tool].into_iter().chain(&on_path).find(|tool| right(tool)) {
        return Ok(tool.clone());
    }
    let mut command = Command::new("cargo");
    // Without --locked: its lock file names a crate version that is not served everywhere.
    command.args(["install", "--quiet", "wasm-bindgen-cli", "--version", version]);
    let tool = match on_path {
        // Someone needs the other version: ours goes where only this repository looks.
        Some(_) => {
            command.arg("--root").arg(&own);
            own_tool
        }
        None => cargo_bin()?.join("wasm-bindgen"),
    };
    println!("installing wasm-bindgen {version} (a minute or two, once)");
    process::run(&mut command, INSTALL_LIMIT)?;
    if right(&tool) {
        Ok(tool)
    } else {
        Err(format!("{} is not wasm-bindgen {version} after installing it", tool.display()))
    }
}

pub fn wasm_pack() -> Result<PathBuf> {
    let installed = cargo_bin()?.join("wasm-pack");
    if let Some(tool) = which("wasm-pack").or_else(|| is_executable(&installed).then(|| installed.clone())) {
        return Ok(tool);
    }
    println!("installing wasm-pack {WASM_PACK} (two minutes, once)");
    // Not npm's package of this name: it downloads a binary from a place that firewalls often close.
    process::run(
        Command::new("cargo").args(["install", "--quiet", "--locked", "wasm-pack", "--version", WASM_PACK]),
        INSTALL_LIMIT,
    )?;
    Ok(installed)
}

/// Node.js and the packages of package-lock.json.
pub fn npm_packages() -> Result<()> {
    npm_packages_of("")
}

/// Those of a folder with a package-lock.json of its own.
pub fn npm_packages_of(folder: &str) -> Result<()> {
    node()?;
    let root = root().join(folder);
    let wanted = read(&root.join("package-lock.json"))?;
    let installed = fs::read_to_string(root.join("node_modules/.package-lock.json")).unwrap_or_default();
    if npm_is_up_to_date(&wanted, &installed) {
        return Ok(());
    }
    println!("installing npm packages of {}", root.display());
    process::run(
        Command::new("npm").current_dir(&root).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]),
        INSTALL_LIMIT,
    )
}

/// Node.js itself, in a version that the scripts and tests run in.
pub fn node() -> Result<()> {
    if which("npm").is_none() {
        apt("nodejs npm", "install Node.js 20 or later with npm, from https://nodejs.org")?;
    }
    let version =
        output(Command::new("node").arg("--version")).ok_or("`node --version` fails: install Node.js 20 or later")?;
    let major: u32 = version.trim_start_matches('v').split('.').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    if major < 20 { Err(format!("Node.js is {version}: install 20 or later, from https://nodejs.org")) } else { Ok(()) }
}

/// A Python that can make environments, in a version that tests/peft runs in.
pub fn python() -> Result<PathBuf> {
    // Debian's python3 comes without ensurepip, and a venv made by it would have no pip.
    let usable = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";
    let find = || which("python3").filter(|python| output(Command::new(python).args(["-c", usable])).is_some());
    if let Some(python) = find() {
        return Ok(python);
    }
    let wanted = "Python 3.11 or later with its modules venv and ensurepip";
    apt("python3 python3-venv", &format!("install {wanted}"))?;
    find().ok_or_else(|| format!("python3 is not {wanted} after installing python3-venv"))
}

pub struct Browser {
    pub chromium: PathBuf,
    pub driver: PathBuf,
}

/// A Chromium and the driver that belongs to it.
pub fn browser() -> Result<Browser> {
    let find = || Some(Browser { chromium: chromium()?, driver: which("chromedriver")? });
    if let Some(browser) = find() {
        return Ok(browser);
    }
    let command = match std::env::consts::OS {
        "macos" => "brew install --cask google-chrome chromedriver",
        _ if has_id("debian") => "sudo apt-get install chromium chromium-driver",
        _ => "install Chromium (or Chrome) and the chromedriver of the same version, both on PATH",
    };
    apt("chromium chromium-driver", command)?;
    find().ok_or_else(|| "chromium and chromedriver are not on PATH after installing them".into())
}

/// A font with the letters of Hindi, in which half of the page's tests look at it: without one every letter is a box of another size.
pub fn devanagari() -> Result<()> {
    let has_font = || output(Command::new("fc-list").arg(":lang=hi")).is_some_and(|fonts| !fonts.trim().is_empty());
    // The others bring one along, and no fontconfig to ask.
    if std::env::consts::OS != "linux" || has_font() {
        return Ok(());
    }
    let packages = "fontconfig fonts-noto-core";
    let command = if has_id("debian") {
        "sudo apt-get install fontconfig fonts-noto-core"
    } else {
        "install a font for Devanagari, such as Noto's"
    };
    apt(packages, command)?;
    if has_font() { Ok(()) } else { Err(format!("`fc-list :lang=hi` finds no font after installing {packages}")) }
}

fn chromium() -> Option<PathBuf> {
    let mac = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    names.into_iter().find_map(which).or_else(|| is_executable(&mac).then_some(mac))
}

pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")).as_deref() == Some("0")
}

/// Whether Debian packages can be installed without asking for a password.
pub fn may_install() -> bool {
    is_root() && has_id("debian")
}

/// Installs Debian packages where we may; elsewhere the error is the one thing to do.
fn apt(packages: &str, elsewhere: &str) -> Result<()> {
    if !may_install() {
        return Err(format!("{packages} missing: {elsewhere}"));
    }
    println!("installing {packages}");
    // A fresh machine's package lists are empty or old.
    process::run(Command::new("apt-get").args(["update", "-qq"]), INSTALL_LIMIT)?;
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "-y", "-qq", "--no-install-recommends"]);
    process::run(command.args(packages.split(' ')), INSTALL_LIMIT)
}

/// Whether this is that distribution itself: others derived from it lack its chromium package.
fn has_id(id: &str) -> bool {
    fs::read_to_string("/etc/os-release").is_ok_and(|text| text.lines().any(|line| line == format!("ID={id}")))
}

fn install(program: &str, command: &str, otherwise: &str) -> Result<()> {
    if which(program).is_none() {
        return Err(format!("`{command}` is needed but there is no {program}: {otherwise}"));
    }
    println!("{command}");
    process::run(Command::new(program).current_dir(root()).args(command.split(' ').skip(1)), INSTALL_LIMIT)
}

/// Where `cargo install` puts programs.
fn cargo_bin() -> Result<PathBuf> {
    if let Some(root) = std::env::var_os("CARGO_INSTALL_ROOT").or_else(|| std::env::var_os("CARGO_HOME")) {
        return Ok(PathBuf::from(root).join("bin"));
    }
    let home =
        std::env::var_os("HOME").ok_or("HOME is not set: set it, or CARGO_HOME, to where cargo installs programs")?;
    Ok(PathBuf::from(home).join(".cargo/bin"))
}

/// PATH with the folders of these tools before all others, for programs that look them up themselves.
pub fn path_with(tools: &[&Path]) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = tools.iter().filter_map(|tool| tool.parent()).map(Path::to_owned);
    std::env::join_paths(folders.chain(std::env::split_paths(&path))).unwrap_or(path)
}

pub fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

/// The version of a package in Cargo.lock, where `name` is followed by `version`.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let mut lines = lock.lines();
    lines.find(|line| line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')) == Some(package))?;
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

/// Whether node_modules holds what package-lock.json wants. Contents are compared, not times,
/// so that neither a fresh checkout nor somebody's `npm install` makes everything be installed again.
pub fn npm_is_up_to_date(wanted: &str, installed: &str) -> bool {
    let packages = |text| serde_json::from_str::<Value>(text).ok()?["packages"].as_object().cloned();
    let (Some(wanted), Some(installed)) = (packages(wanted), packages(installed)) else { return false };
    wanted.iter().all(|(path, package)| {
        // The root itself is not installed; an optional package may be for another system.
        path.is_empty()
            || package["optional"] == true
            || installed.get(path).is_some_and(|there| there["version"] == package["version"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locked_version_is_that_of_the_package_with_the_whole_name() {
        let lock = "version = 4\n\n[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"0.1.0\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"registry\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "wasm"), None);
        assert_eq!(locked_version("name = \"wasm-bindgen\"", "wasm-bindgen"), None);
    }

    #[test]
    fn our_own_lock_file_has_a_wasm_bindgen() {
        let lock = read(&root().join("Cargo.lock")).unwrap();
        let version = locked_version(&lock, "wasm-bindgen").unwrap();
        assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");
    }

    #[test]
    fn npm_packages_are_up_to_date_only_if_every_one_that_must_be_there_is_in_its_version() {
        let wanted = r#"{"packages": {"": {}, "node_modules/a": {"version": "1.0.0"}, "node_modules/b": {"version": "2.0.0", "optional": true}}}"#;
        let with_a = |version| format!(r#"{{"packages": {{"node_modules/a": {{"version": "{version}"}}}}}}"#);
        assert!(npm_is_up_to_date(wanted, &with_a("1.0.0")));
        assert!(!npm_is_up_to_date(wanted, &with_a("1.0.1")));
        for nothing in ["", "{}", r#"{"packages": {}}"#] {
            assert!(!npm_is_up_to_date(wanted, nothing), "{nothing}");
        }
    }
}
