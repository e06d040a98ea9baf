//! Tells the browser tests which oracle directory to embed: a wasm test cannot read files.

fn main() {
    println!("cargo::rerun-if-env-changed=LORA_LAB_ORACLE");
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/oracle").to_owned();
    let directory = std::env::var("LORA_LAB_ORACLE").unwrap_or(default);
    println!("cargo::rustc-env=LORA_LAB_ORACLE_DIR={directory}");
    println!("cargo::rerun-if-changed={directory}");
}
