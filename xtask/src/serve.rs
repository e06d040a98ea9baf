//! A static file server on this machine alone: right types, nothing cached, nothing outside its folder.

use crate::process::which;
use crate::{Result, build, root, setup};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tiny_http::{Header, Method, Request, Response, Server};

const FIRST_PORT: u16 = 8000;

#[derive(Default, PartialEq, Debug)]
pub struct Options {
    /// Exactly this port; without one the first free from 8000 on.
    port: Option<u16>,
    open: bool,
}

impl Options {
    pub fn parse(args: &[&str]) -> Result<Self> {
        let mut options = Options::default();
        let mut args = args.iter().copied();
        while let Some(arg) = args.next() {
            let port =
                |text: Option<&str>| text.and_then(|t| t.parse().ok()).ok_or("--port wants a number from 0 to 65535");
            match arg.split_once('=').unwrap_or((arg, "")) {
                ("--open", "") => options.open = true,
                ("--port", "") => options.port = Some(port(args.next())?),
                ("--port", value) => options.port = Some(port(Some(value))?),
                _ => return Err(format!("serve knows --port N and --open, not `{arg}`")),
            }
        }
        Ok(options)
    }
}

pub fn run(options: Options) -> Result<()> {
    // Before minutes of building: as root on Debian a missing browser is installed; elsewhere the reader has one, or is told.
    let opener = ["xdg-open", "open"].into_iter().find_map(which);
    let browser = match opener {
        Some(opener) => Some(opener),
        None if options.open || setup::may_install() => Some(setup::browser()?.chromium),
        None => None,
    };
    build::run()?;
    let (server, port) = listen(options.port)?;
    let url = format!("http://localhost:{port}/");
    println!("\nLoRA Lab is at {url}  (Ctrl-C ends it)");
    if let Some(browser) = browser.filter(|_| options.open) {
        // The page is served all the same.
        open(&browser, &url).unwrap_or_else(|error| println!("{error}"));
    }
    serve(server, root().join("www"))
}

/// Only on the loopback address: what is served here is for this machine.
fn listen(port: Option<u16>) -> Result<(Server, u16)> {
    let listen = |port: u16| {
        let server = Server::http(("127.0.0.1", port))?;
        let port = server.server_addr().to_ip().map_or(port, |address| address.port());
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((server, port))
    };
    match port {
        Some(port) => listen(port).map_err(|e| format!("cannot listen on port {port}: {e}")),
        None => (FIRST_PORT..FIRST_PORT + 100)
            .find_map(|port| listen(port).ok())
            .ok_or_else(|| format!("no port is free from {FIRST_PORT} on: name one with --port N")),
    }
}

fn serve(server: Server, folder: PathBuf) -> Result<()> {
    let folder = folder.canonicalize().map_err(|e| format!("cannot serve {}: {e}", folder.display()))?;
    let server = Arc::new(server);
    // A browser opens six connections; one slow answer shall not hold up the others.
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let (server, folder) = (Arc::clone(&server), folder.clone());
            std::thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    // The reader closed the connection: nobody is left to be told.
                    let _ = answer(request, &folder);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| drop(thread.join()));
    Err("the server has stopped".into())
}

fn answer(request: Request, folder: &Path) -> std::io::Result<()> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return request.respond(plain(405, "only GET and HEAD").with_header(header("Allow", "GET, HEAD")));
    }
    let Some(file) = find(folder, request.url()) else { return request.respond(plain(404, "not found")) };
    if file.is_dir() {
        // Relative links in its index.html need the closing slash.
        let path = request.url().split(['?', '#']).next().unwrap_or_default();
        // One leading slash: `//host` would lead to another server.
        let place = format!("/{}/", path.trim_matches('/'));
        return request.respond(plain(301, "moved").with_header(header("Location", &place)));
    }
    let Ok(content) = File::open(&file) else { return request.respond(plain(404, "not found")) };
    let response = Response::from_file(content).with_header(header("Content-Type", mime_type(&file)));
    request.respond(with_policy(response))
}

fn plain(status: u16, text: &str) -> Response<std::io::Cursor<Vec<u8>>> {
    with_policy(Response::from_string(text).with_status_code(status))
}

fn with_policy<R: std::io::Read>(response: Response<R>) -> Response<R> {
    response
        // What was built a moment ago has to be what the page loads.
        .with_header(header("Cache-Control", "no-store"))
        .with_header(header("X-Content-Type-Options", "nosniff"))
        // As docs/embedding.md asks of every host: a sandboxed frame is of another origin even here. Nothing served is secret.
        .with_header(header("Access-Control-Allow-Origin", "*"))
}

fn header(name: &str, value: &str) -> Header {
    // Only a path taken from the request could hold what a header must not, and `find` refuses control characters.
    Header::from_bytes(name, value).unwrap_or_else(|()| Header::from_bytes("X-Refused", name).expect("plain ASCII"))
}

/// The file that a request names, if it is one of ours. `folder` has to be canonical.
fn find(folder: &Path, url: &str) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next()?.strip_prefix('/')?;
    let path = percent_decoded(path)?;
    let is_foreign =
        |part: &str| part.starts_with('.') || part.contains(['\\', ':']) || part.chars().any(char::is_control);
    if path.split('/').any(is_foreign) {
        return None;
    }
    // Joining an absolute path would replace the folder.
    let mut file = folder.join(path.trim_start_matches('/'));
    if path.is_empty() || path.ends_with('/') {
        file.push("index.html");
    }
    // Last, whatever a link in the file system says.
    file.canonicalize().ok().filter(|file| file.starts_with(folder))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn mime_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        // Without it browsers refuse to compile while they download.
        Some("wasm") => "application/wasm",
        Some("txt" | "md" | "ts" | "LICENSE") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

/// Opens the page with the desktop's opener, or with a browser itself.
fn open(program: &Path, url: &str) -> Result<()> {
    // As root, Chromium runs only without its sandbox: that is not for us to decide silently.
    if setup::is_root() && !program.ends_with("xdg-open") && !program.ends_with("open") {
        return Err(format!("open {url} in a browser yourself: as root Chromium starts only with --no-sandbox"));
    }
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(|e| format!("cannot open a browser: {e}; open {url} yourself"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// A folder `www` with a file in it, and a secret beside it.
    fn folder(name: &str) -> PathBuf {
        let outer = std::env::temp_dir().join(format!("lora-lab-serve-{name}-{}", std::process::id()));
        let www = outer.join("www");
        fs::create_dir_all(www.join("embed")).unwrap();
        fs::write(outer.join("secret.txt"), "secret").unwrap();
        fs::write(www.join(".hidden"), "hidden").unwrap();
        fs::write(www.join("index.html"), "<!doctype html>page").unwrap();
        fs::write(www.join("embed/index.html"), "embedded").unwrap();
        fs::write(www.join("a b.wasm"), "\0asm").unwrap();
        let _ = std::os::unix::fs::symlink(outer.join("secret.txt"), www.join("link.txt"));
        www.canonicalize().unwrap()
    }

    #[test]
    fn requests_find_files_of_the_folder_and_nothing_else() {
        let www = folder("find");
        assert_eq!(find(&www, "/"), Some(www.join("index.html")));
        assert_eq!(find(&www, "/index.html?v=1#a"), Some(www.join("index.html")));
        assert_eq!(find(&www, "/embed/"), Some(www.join("embed/index.html")));
        assert_eq!(find(&www, "/a%20b.wasm"), Some(www.join("a b.wasm")));
        for url in [
            "/../secret.txt",
            "/embed/../../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/%2e%2e%2fsecret.txt",
            "/..\\secret.txt",
            "/..%5csecret.txt",
            "/link.txt",
            "/.hidden",
            "//etc/passwd",
            "/%2fetc/passwd",
            "/etc/passwd",
            "/index.html%00",
            "/%",
            "/%2",
            "/%zz",
            "/%ff",
            "/missing",
            "index.html",
            "",
            "http://localhost/index.html",
            "*",
        ] {
            assert_eq!(find(&www, url), None, "{url}");
        }
        fs::remove_dir_all(www.parent().unwrap()).unwrap();
    }

    #[test]
    fn modules_and_wasm_have_the_types_that_browsers_insist_on() {
        let types = ["a.js", "a.mjs", "a.wasm", "a.html", "a.css", "a.json", "a.safetensors", "a"]
            .map(|f| mime_type(Path::new(f)));
        let [js, mjs, wasm, html, css, json, weights, none] = types;
        assert!(js.starts_with("text/javascript") && mjs == js);
        assert_eq!(wasm, "application/wasm");
        assert!(html.starts_with("text/html") && css.starts_with("text/css") && json == "application/json");
        assert!(weights == "application/octet-stream" && none == weights);
    }

    #[test]
    fn options_are_read_and_what_is_not_one_is_named() {
        let port = |port| Options { port: Some(port), open: true };
        assert_eq!(Options::parse(&["--open", "--port", "9000"]), Ok(port(9000)));
        assert_eq!(Options::parse(&["--port=0", "--open"]), Ok(port(0)));
        assert_eq!(Options::parse(&[]), Ok(Options::default()));
        for wrong in [&["--port"][..], &["--port", "x"], &["--port=70000"], &["--opn"]] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_taken_port_is_passed_over_unless_it_was_asked_for() {
        let (_first, taken) = listen(Some(0)).unwrap();
        assert!(listen(Some(taken)).is_err());
        let (_a, a) = listen(None).unwrap();
        let (_b, b) = listen(None).unwrap();
        assert_ne!(a, b);
    }

    #[test]
    fn over_http_files_come_uncached_and_what_is_not_theirs_is_refused() {
        let www = folder("http");
        let (server, port) = listen(Some(0)).unwrap();
        let served = www.clone();
        std::thread::spawn(move || serve(server, served));
        let request = |line: &str| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            write!(stream, "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        let page = request("GET /");
        assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("<!doctype html>page"), "{page}");
        assert!(page.contains("Cache-Control: no-store") && page.contains("text/html"), "{page}");
        assert!(request("GET /a%20b.wasm").contains("Content-Type: application/wasm\r\n"));
        for path in ["/", "/a%20b.wasm", "/embed"] {
            let answer = request(&format!("GET {path}"));
            assert!(answer.contains("Access-Control-Allow-Origin: *\r\n"), "{path}: {answer}");
            assert!(!answer.contains("X-Frame-Options") && !answer.contains("frame-ancestors"), "{path}: {answer}");
        }
        assert!(!request("HEAD /").contains("doctype"));
        assert!(request("GET /embed").contains("Location: /embed/\r\n"));
        assert!(
            request("GET //embed").starts_with("HTTP/1.1 404")
                || request("GET //embed").contains("Location: /embed/\r\n")
        );
        assert!(request("POST /").starts_with("HTTP/1.1 405"));
        for path in ["/../secret.txt", "/%2e%2e/secret.txt", "/link.txt", "/missing"] {
            let answer = request(&format!("GET {path}"));
            assert!(answer.starts_with("HTTP/1.1 404") && !answer.contains("secret"), "{path}: {answer}");
        }
        fs::remove_dir_all(www.parent().unwrap()).unwrap();
    }
}
