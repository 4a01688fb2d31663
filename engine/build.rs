//! Finds the prebuilt DuckDB library, tells the linker, and lays a copy beside
//! the built programs, where their run path (`.cargo/config.toml`) looks.
//! With the feature `duckdb-from-source` there is nothing to find.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Names the cache folder; the crate's version in `Cargo.toml` decides what is asked of it.
const DUCKDB: &str = "duckdb-1.5.6";
const COMPARED_BYTES: usize = 1024 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_DUCKDB_FROM_SOURCE").is_some() {
        return;
    }
    for name in ["SPRINGTIDE_DUCKDB_DIR", "XDG_CACHE_HOME", "HOME"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let macos = env::var_os("CARGO_CFG_TARGET_OS").as_deref() == Some(OsStr::new("macos"));
    let name = if macos { "libduckdb.dylib" } else { "libduckdb.so" };
    let library = folder().join(name);
    println!("cargo::rerun-if-changed={}", library.display());
    if !library.is_file() {
        println!(
            "cargo::error=DuckDB's library is not at {}. Run `make setup` (it says what it fetches), \
             or set SPRINGTIDE_DUCKDB_DIR to the folder that holds {name} of {DUCKDB}, \
             or build with `--features duckdb-from-source` (about 40 minutes).",
            library.display()
        );
        return;
    }
    let beside = profile_folder().join(name);
    println!("cargo::rerun-if-changed={}", beside.display());
    if let Err(error) = lay_beside(&library, &beside) {
        println!("cargo::error=cannot copy {} to {}: {error}", library.display(), beside.display());
        return;
    }
    // Cargo puts searched folders below the target folder on the library path of what it
    // runs itself, doctests included.
    for folder in [beside.parent(), library.parent()].into_iter().flatten() {
        println!("cargo::rustc-link-search=native={}", folder.display());
    }
    // `DEP_SPRINGTIDE_DUCKDB_LIB_DIR` for a program's build script: a run path for `cargo install`.
    if let Some(folder) = library.parent() {
        println!("cargo::metadata=lib_dir={}", folder.display());
    }
}

fn folder() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("SPRINGTIDE_DUCKDB_DIR") {
        return folder;
    }
    let home = || set("HOME").unwrap_or_default().join(".cache");
    set("XDG_CACHE_HOME").unwrap_or_else(home).join("springtide").join(DUCKDB)
}

/// `target/<profile>`, from `target/<profile>/build/<package>/out`.
fn profile_folder() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    out.ancestors().nth(3).map(Path::to_path_buf).unwrap_or(out)
}

/// Copies by rename, so that a program that runs meanwhile keeps its own; keeps the time of
/// change, so that the copy is no reason to run this again.
fn lay_beside(library: &Path, beside: &Path) -> io::Result<()> {
    if equal(library, beside).unwrap_or(false) {
        return Ok(());
    }
    let mut partial = beside.as_os_str().to_owned();
    partial.push(format!(".{}", std::process::id()));
    let partial = PathBuf::from(partial);
    fs::copy(library, &partial)?;
    File::options().write(true).open(&partial)?.set_modified(fs::metadata(library)?.modified()?)?;
    fs::rename(&partial, beside)
}

fn equal(a: &Path, b: &Path) -> io::Result<bool> {
    if fs::metadata(a)?.len() != fs::metadata(b)?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (vec![0; COMPARED_BYTES], vec![0; COMPARED_BYTES]);
    loop {
        let read = a.read(&mut left)?;
        if read == 0 {
            return Ok(true);
        }
        b.read_exact(&mut right[..read])?;
        if left[..read] != right[..read] {
            return Ok(false);
        }
    }
}
