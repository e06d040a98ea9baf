//! dist/: www/ as one folder for any static host, checked to be complete.

use crate::build::{self, copy, gzipped_size, megabytes, read, remove};
use crate::{Result, root};
use std::fs;
use std::path::{Component, Path, PathBuf};

pub fn run() -> Result<()> {
    build::run()?;
    let (www, dist) = (root().join("www"), root().join("dist"));
    let files = files_of(&www)?;
    let broken = broken_references(&www, &files)?;
    if !broken.is_empty() {
        return Err(format!("the page refers to what it does not hold:\n  {}", broken.join("\n  ")));
    }
    remove(&dist)?;
    for file in &files {
        copy(&www.join(file), &dist.join(file))?;
    }
    print_sizes(&dist, &files)
}

/// The files to ship, relative to the folder and in order.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    fn walk(folder: &Path, inside: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in fs::read_dir(folder.join(inside))? {
            let path = inside.join(entry?.file_name());
            if folder.join(&path).is_dir() {
                walk(folder, &path, files)?;
            } else if is_shipped(&path) {
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

/// References that lead to no shipped file or are not relative, as `file: reference`.
fn broken_references(folder: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    // Vendored files are of other people's making and stand alone.
    for file in files.iter().filter(|file| !file.starts_with("vendor")) {
        let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if !matches!(extension, "html" | "js" | "mjs" | "css") {
            continue;
        }
        let text = String::from_utf8_lossy(&read(&folder.join(file))?).into_owned();
        for reference in references(&text, extension) {
            if !leads_to_one_of(files, file, &reference) {
                broken.push(format!("{}: {reference}", file.display()));
            }
        }
    }
    Ok(broken)
}

/// What a file names for the browser to load, read off the few forms that this page uses.
fn references(text: &str, extension: &str) -> Vec<String> {
    let (text, markers): (String, &[&str]) = match extension {
        "html" => (without(text, "<!--", "-->"), &["src=", "href=", "url(", "import ", "from ", "import("]),
        "css" => (without(text, "/*", "*/"), &["url(", "@import "]),
        _ => (without_comments(text), &["from ", "import ", "import(", "new URL("]),
    };
    let mut found = Vec::new();
    for marker in markers {
        for (at, _) in text.match_indices(marker) {
            // `import` and not `reimport`, `src` and not `data-src`.
            if text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.')) {
                continue;
            }
            let rest = text[at + marker.len()..].trim_start();
            let Some(quote @ ('"' | '\'')) = rest.chars().next() else { continue };
            let Some(reference) = rest[1..].split(quote).next() else { continue };
            // Pages link to other sites, fragments and inline images; none of these is a file of ours.
            let is_elsewhere =
                ["https://", "http://", "mailto:", "data:", "#"].iter().any(|start| reference.starts_with(start));
            let is_link = *marker == "href=" && is_elsewhere;
            if !is_link && !reference.starts_with("data:") && !reference.is_empty() {
                found.push(reference.to_owned());
            }
        }
    }
    found
}

/// Less its comments: JSDoc refers to types, not to files. Only whole-line `//`, since strings hold them too.
fn without_comments(text: &str) -> String {
    let text = without(text, "/*", "*/");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn without(text: &str, start: &str, end: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(start) {
        kept.push_str(before);
        rest = after.split_once(end).map_or("", |(_, after)| after);
    }
    kept + rest
}

/// Whether a reference is relative, so that the page works under any path, and there.
fn leads_to_one_of(files: &[PathBuf], from: &Path, reference: &str) -> bool {
    let path = reference.split(['?', '#']).next().unwrap_or_default();
    if path.starts_with('/') || path.contains(':') {
        return false;
    }
    let mut place = from.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => place.push(name),
            Component::CurDir => {}
            Component::ParentDir if place.pop() => {}
            _ => return false,
        }
    }
    // A folder stands for its index.html, or is completed at run time with the names of its files.
    files.iter().any(|file| file == &place)
        || (path.ends_with('/') && files.iter().any(|file| file.starts_with(&place)))
}

fn print_sizes(folder: &Path, files: &[PathBuf]) -> Result<()> {
    let (mut raw_sum, mut gzipped_sum) = (0, 0);
    println!("{:>10} {:>10}  dist/", "bytes", "gzipped");
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
    fn scripts_name_their_imports_and_urls_but_not_in_comments() {
        let text = r#"
            import { a } from "./a.js";
            import './b.js';
            export * from "./c.js";
            const d = await import("./d.js");
            const e = new URL("./pkg/e.wasm", import.meta.url);
            const f = import(name);   // and what is computed cannot be read
            /** @type {import("./types.js").T} */
            // import "./old.js";
            reimport("./not.js"); Array.from("./not.js");
        "#;
        let mut found = references(text, "js");
        found.sort();
        assert_eq!(found, ["./a.js", "./b.js", "./c.js", "./d.js", "./pkg/e.wasm"]);
    }

    #[test]
    fn pages_name_scripts_and_styles_but_links_may_lead_elsewhere() {
        let text = r##"<link rel="stylesheet" href="page.css"><script type="module" src="page.js"></script>
            <a href="https://example.org">x</a><a href="#top">y</a><!-- <img src="old.png"> --><img src="https://example.org/a.png">"##;
        let mut found = references(text, "html");
        found.sort();
        assert_eq!(found, ["https://example.org/a.png", "page.css", "page.js"]);
        assert_eq!(references("a { background: url('a.svg') } /* url('b.svg') */", "css"), ["a.svg"]);
    }

    #[test]
    fn references_are_relative_and_lead_to_a_file() {
        let files = ["index.html", "view/chart.js", "vendor/uPlot.js", "models/tiny/config.json"].map(PathBuf::from);
        let leads = |from: &str, reference| leads_to_one_of(&files, Path::new(from), reference);
        assert!(leads("index.html", "view/chart.js") && leads("index.html", "./view/chart.js?v=1"));
        assert!(leads("view/chart.js", "../vendor/uPlot.js") && leads("index.html", "models/tiny/"));
        assert!(!leads("index.html", "missing.js") && !leads("view/chart.js", "vendor/uPlot.js"));
        assert!(!leads("index.html", "/view/chart.js"), "absolute");
        assert!(!leads("index.html", "../index.html"), "outside");
        assert!(!leads("index.html", "https://example.org/a.js"), "another origin");
    }

    #[test]
    fn what_only_writers_need_is_not_shipped() {
        for shipped in ["index.html", "pkg/lora_lab_bg.wasm", "models/tiny/README.md", "samples/pirates.txt"] {
            assert!(is_shipped(Path::new(shipped)), "{shipped}");
        }
        for kept in ["vendor.json", "pkg/lora_lab.d.ts", "pkg/.gitignore", ".DS_Store"] {
            assert!(!is_shipped(Path::new(kept)), "{kept}");
        }
    }
}
