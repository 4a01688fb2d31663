//! `protocol` builds for WebAssembly where that target is installed; where not,
//! `rooms` proves that it does no input or output.

use std::path::Path;
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

#[test]
fn protocol_builds_for_wasm() {
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    if !Path::new(libraries.trim()).is_dir() {
        eprintln!("{TARGET} is not installed: nothing to build");
        return;
    }
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--package", "springtide-protocol", "--target", TARGET])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}
