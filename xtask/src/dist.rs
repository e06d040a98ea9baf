//! What others get: dist/, a folder for any static host, and dist-npm/, a package. Both are made of www/ as it is.

mod npm;
mod offline;
mod references;

use crate::build::{self, copy, gzipped_size, megabytes, read, remove};
use crate::{Result, root};
use std::fs;
use std::path::{Path, PathBuf};

const SITE: &str = "dist";
const PACKAGE: &str = "dist-npm";

pub fn run(args: &[&str]) -> Result<()> {
    match args {
        [] => build::run()?,
        // For whoever has built a moment ago.
        ["--no-build"] => {}
        _ => return Err(format!("dist knows --no-build, not `{}`", args.join(" "))),
    }
    assemble()?;
    for name in [SITE, PACKAGE] {
        let folder = root().join(name);
        print_sizes(name, &folder, &files_of(&folder)?)?;
    }
    Ok(())
}

/// Makes both from what lies in www/.
pub fn assemble() -> Result<()> {
    let [www, to_site, to_package] = ["www", SITE, PACKAGE].map(|name| root().join(name));
    let files = files_of(&www)?;
    remove(&to_site)?;
    remove(&to_package)?;
    site(&www, &files, &to_site)?;
    npm::package(&www, &files, &to_package)
}

fn site(www: &Path, files: &[PathBuf], to: &Path) -> Result<()> {
    let files: Vec<PathBuf> = files.iter().filter(|file| is_for_the_site(file)).cloned().collect();
    let broken = references::broken(www, &files)?;
    if !broken.is_empty() {
        return Err(format!("the page refers to what it does not hold:\n  {}", broken.join("\n  ")));
    }
    for file in &files {
        copy(&www.join(file), &to.join(file))?;
    }
    offline::prepare(to, &files)
}

/// The files of a folder, relative to it and in order.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    fn walk(folder: &Path, inside: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in fs::read_dir(folder.join(inside))? {
            let path = inside.join(entry?.file_name());
            if folder.join(&path).is_dir() {
                walk(folder, &path, files)?;
            } else {
                files.push(path);
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    walk(folder, Path::new(""), &mut files).map_err(|e| format!("cannot list {}: {e}", folder.display()))?;
    files.sort();
    Ok(files)
}

/// Lists for the build, and types, serve whoever writes the page and not its reader.
fn is_shipped(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = path.components().any(|part| part.as_os_str().to_string_lossy().starts_with('.'));
    !hidden && path != Path::new("vendor.json") && !name.ends_with(".d.ts")
}

/// Not what only Node and bundlers load.
fn is_for_the_site(path: &Path) -> bool {
    let elsewhere = ["node.js", "worker-start.js", "engine/node.js", "engine/node-worker.js", "engine/worker-start.js"]
        .map(Path::new);
    is_shipped(path) && !elsewhere.contains(&path)
}

fn print_sizes(name: &str, folder: &Path, files: &[PathBuf]) -> Result<()> {
    let (mut raw_sum, mut gzipped_sum) = (0, 0);
    println!("{:>10} {:>10}  {name}/", "bytes", "gzipped");
    for file in files {
        let bytes = read(&folder.join(file))?;
        let gzipped = gzipped_size(&bytes)?;
        println!("{:>10} {gzipped:>10}  {}", bytes.len(), file.display());
        raw_sum += bytes.len();
        gzipped_sum += gzipped;
    }
    println!(
        "{raw_sum:>10} {gzipped_sum:>10}  {} files, {:.1} MB, {:.1} MB gzipped",
        files.len(),
        megabytes(raw_sum),
        megabytes(gzipped_sum)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_writers_need_is_not_shipped() {
        for shipped in ["index.html", "pkg/lora_lab_bg.wasm", "models/tiny/README.md", "samples/pirates.txt"] {
            assert!(is_shipped(Path::new(shipped)), "{shipped}");
        }
        for kept in ["vendor.json", "pkg/lora_lab.d.ts", "pkg/.gitignore", ".DS_Store"] {
            assert!(!is_shipped(Path::new(kept)), "{kept}");
        }
    }

    #[test]
    fn what_only_node_and_bundlers_load_is_not_on_the_site() {
        assert!(is_for_the_site(Path::new("engine/worker.js")) && is_for_the_site(Path::new("sw.js")));
        for not in ["node.js", "engine/node.js", "engine/node-worker.js", "engine/worker-start.js", "vendor.json"] {
            assert!(!is_for_the_site(Path::new(not)), "{not}");
        }
    }
}
