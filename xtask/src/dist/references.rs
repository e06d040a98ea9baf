//! What files name for the browser to load: it has to be relative, so that they work under any path, and it has to be there.

use crate::Result;
use crate::build::read;
use std::path::{Component, Path, PathBuf};

/// References that lead to none of these files or are not relative, as `file: reference`.
pub fn broken(folder: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
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
            if text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.' | '#')) {
                continue;
            }
            let rest = text[at + marker.len()..].trim_start();
            let Some(quote @ ('"' | '\'')) = rest.chars().next() else { continue };
            let Some(reference) = rest[1..].split(quote).next() else { continue };
            // Pages link to other sites, fragments and inline images; none of these is a file of ours.
            let is_elsewhere =
                ["https://", "http://", "mailto:", "data:", "#"].iter().any(|start| reference.starts_with(start));
            let is_link = *marker == "href=" && is_elsewhere;
            let is_builtin = *marker == "from " && reference.starts_with("node:");
            if !is_link && !is_builtin && !reference.starts_with("data:") && !reference.is_empty() {
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
            import { join } from "node:path";
            const f = import(name);   // and what is computed cannot be read
            /** @type {import("./types.js").T} */
            // import "./old.js";
            reimport("./not.js"); this.#import("./not.js"); Array.from("./not.js");
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
}
