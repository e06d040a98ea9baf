//! `cargo xtask peft`: the adapter files and the exported folder against real PyTorch, transformers and PEFT, in a Python environment of
//! its own in target/peft.

use crate::process::{self, MINUTE, Outcome, output};
use crate::{Result, build, root, setup};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What the exported folder asks for; the environment is made of the same.
const REQUIREMENTS: &str = "www/further/requirements.txt";

/// PyTorch's own registry of builds for processors alone.
const PROCESSORS_ONLY: &str = "https://download.pytorch.org/whl/cpu";

/// What torch, transformers, PEFT and Accelerate import on a processor. The wheel of torch on PyPI asks for some 2.5 GB of CUDA packages
/// besides, of which only the two small ones below cannot be done without.
const IMPORTED: &str = "filelock typing-extensions setuptools sympy networkx jinja2 fsspec numpy safetensors tokenizers transformers psutil pyyaml";
const WITHOUT_THEIR_NEEDS: &str = "torch peft accelerate nvidia-cuda-runtime nvidia-cuda-cupti";

/// Compiles empty libraries in the place of the CUDA packages that torch's wheel from PyPI wants at its import. Not a part of this
/// repository: where it is missing, torch has to be installed with all its packages.
const STUBS: &str = "../shared/peft/make_cuda_stubs.py";

/// A wheel of torch has 0.2 to 1 GB.
const INSTALL_LIMIT: Duration = MINUTE.saturating_mul(20);

/// A program that imports everything that is used, and tells the versions.
const VERSIONS: &str = "import torch, transformers, peft, accelerate, safetensors
print(f'torch {torch.__version__}, transformers {transformers.__version__}, PEFT {peft.__version__}, Accelerate {accelerate.__version__}')";

/// Each takes a minute or two on two cores.
const SCRIPTS: [&str; 2] = ["tests/peft/roundtrip.py", "tests/peft/further.py"];
const SCRIPT_LIMIT: Duration = MINUTE.saturating_mul(15);

pub fn run() -> Result<()> {
    let python = environment()?;
    setup::node()?;
    build::if_missing()?;
    let mut last = vec![versions(&python).ok_or("the environment broke while it was used")?];
    for script in SCRIPTS {
        println!("\n── {script}");
        last.push(passed(&python, script)?);
    }
    println!("\n{}", last.join("; "));
    Ok(())
}

/// Runs a script and hands its lines on; gives the last one, which sums up what it found.
fn passed(python: &Path, script: &str) -> Result<String> {
    let mut command = Command::new(python);
    command.current_dir(root()).arg(script);
    // Its output goes into a pipe, and would come all at once at the end.
    command.env("PYTHONUNBUFFERED", "1");
    // Models and adapters lie on disk: nothing is to be fetched.
    command.env("HF_HUB_OFFLINE", "1");
    // Progress bars, and the libraries' advice to each other, would hide the figures.
    command.env("TQDM_DISABLE", "1").env("PYTHONWARNINGS", "ignore");
    let mut last = String::new();
    let outcome = process::stream(&mut command, SCRIPT_LIMIT, |line| {
        println!("{line}");
        line.clone_into(&mut last);
    })?;
    match outcome {
        Outcome::Exited(status) if status.success() => Ok(last),
        Outcome::Exited(status) => Err(format!("{script} failed ({status}): {last}")),
        Outcome::TimedOut => Err(format!("{script} was stopped after {} minutes", SCRIPT_LIMIT.as_secs() / 60)),
    }
}

/// The Python of the environment, which is made unless it is there. Each step can be taken again: what is installed already stays.
fn environment() -> Result<PathBuf> {
    let folder = root().join("target/peft");
    let python = folder.join("bin/python");
    if versions(&python).is_some() {
        return Ok(python);
    }
    if output(Command::new(&python).args(["-m", "pip", "--version"])).is_none() {
        let program = setup::python()?;
        println!("making a Python environment in {}", folder.display());
        process::run(Command::new(program).args(["-m", "venv", "--clear"]).arg(&folder), INSTALL_LIMIT)?;
    }
    println!("installing PyTorch, transformers and PEFT there (some 1.5 GB, minutes, once)");
    install(&python)?;
    if versions(&python).is_some() {
        return Ok(python);
    }
    let stubs = root().join(STUBS);
    if stubs.exists() && lacks_cuda(&python) {
        stub_cuda(&python, &stubs)?;
        if versions(&python).is_some() {
            return Ok(python);
        }
    }
    Err(format!(
        "PyTorch is installed but cannot be imported ({}): `{}` installs all that it asks for",
        import_error(&python),
        full(&python)
    ))
}

/// PyTorch for processors alone, where its registry can be reached; else PyPI's without the packages for graphics cards that it asks for.
fn install(python: &Path) -> Result<()> {
    // Elsewhere PyPI's wheel is for processors already.
    let on_linux = std::env::consts::OS == "linux";
    // A firewall between us and that registry shall not cost the minutes that pip would go on trying.
    let small = ["--retries", "0", "--timeout", "20", "--index-url", PROCESSORS_ONLY, "torch"];
    if !on_linux || pip(python, &small).is_ok() {
        return pip(python, &["--requirement", REQUIREMENTS]).map_err(|error| impossible(&error));
    }
    println!("{PROCESSORS_ONLY} has no torch for us: PyPI's instead");
    for packages in [IMPORTED, WITHOUT_THEIR_NEEDS] {
        let mut args: Vec<&str> = packages.split(' ').collect();
        if packages == WITHOUT_THEIR_NEEDS {
            args.insert(0, "--no-deps");
        }
        pip(python, &args).map_err(|error| impossible(&error))?;
    }
    Ok(())
}

fn impossible(error: &str) -> String {
    format!("PyTorch cannot be installed here: {error}")
}

fn pip(python: &Path, args: &[&str]) -> Result<()> {
    let mut command = Command::new(python);
    command.current_dir(root()).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(args);
    process::run(&mut command, INSTALL_LIMIT)
}

fn full(python: &Path) -> String {
    format!("{} -m pip install --requirement {REQUIREMENTS}", python.display())
}

/// The versions of what is used, if all of it can be imported.
fn versions(python: &Path) -> Option<String> {
    output(Command::new(python).args(["-c", VERSIONS]))
}

/// The last line of what Python says when it cannot import torch.
fn import_error(python: &Path) -> String {
    let said = Command::new(python).args(["-c", VERSIONS]).output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).unwrap_or_default();
    said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}

/// Whether torch is there and misses a shared library, as it does without the CUDA packages.
fn lacks_cuda(python: &Path) -> bool {
    import_error(python).contains("cannot open shared object file")
}

fn stub_cuda(python: &Path, stubs: &Path) -> Result<()> {
    let purelib = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages =
        output(Command::new(python).args(["-c", purelib])).ok_or("the environment has no folder of packages")?;
    process::run(Command::new(python).arg(stubs).arg(packages), 5 * MINUTE)
}
