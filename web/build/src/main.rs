//! Builds `web/dist/verifier.js`: the verifier as WebAssembly, the JavaScript around it and the worker, in one file.
//!
//! One file, because a page that was saved has nothing beside it. The WebAssembly is gzipped and then written in base64,
//! which browsers undo by themselves.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use wasm_bindgen_cli_support::Bindgen;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "web";

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target = root.join("target/web");
    compile(&root, &target)?;
    let mut bindgen = Bindgen::new();
    bindgen.input_path(target.join(TARGET).join(PROFILE).join("affiant.wasm"));
    bindgen.no_modules(true)?.typescript(false).remove_name_section(true).remove_producers_section(true);
    let mut output = bindgen.generate_output().context("is wasm-bindgen of another version in Cargo.lock?")?;
    let wasm = output.wasm_mut().emit_wasm();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&wasm)?;
    let gzip = gzip.finish()?;
    let worker = std::fs::read_to_string(root.join("web/worker.js"))?;
    let script = format!("{}\nconst WASM = \"{}\";\n{worker}", output.js(), STANDARD.encode(&gzip));
    // A saved page has the script in an element, which this would end.
    ensure!(!script.contains("</script"), "the script says </script");
    let dist = root.join("web/dist");
    std::fs::create_dir_all(&dist)?;
    std::fs::write(dist.join("verifier.js"), &script)?;
    println!(
        "web/dist/verifier.js: {} bytes, of which WebAssembly {} bytes ({} gzipped)",
        script.len(),
        wasm.len(),
        gzip.len()
    );
    Ok(())
}

/// Compiles the library for the browser. What is in it does not depend on where it was compiled.
fn compile(root: &Path, target: &Path) -> anyhow::Result<()> {
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    let flags = format!("--remap-path-prefix={home}/registry/src=registry\x1f--remap-path-prefix={}=", root.display());
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.args(["rustc", "--locked", "--lib", "--crate-type", "cdylib", "--no-default-features", "--features", "wasm"]);
    cargo.args(["--profile", PROFILE, "--target", TARGET, "--target-dir"]).arg(target);
    cargo.current_dir(root).env("CARGO_ENCODED_RUSTFLAGS", flags).env_remove("CARGO_TARGET_DIR");
    ensure!(cargo.status()?.success(), "the verifier does not compile for {TARGET}");
    Ok(())
}
