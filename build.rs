//! Gives the program a run path to the folder that DuckDB's library was found
//! in, so that it runs from wherever it is copied or installed to.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Some(folder) = std::env::var_os("DEP_SPRINGTIDE_DUCKDB_LIB_DIR") {
        let folder = folder.to_string_lossy();
        println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{folder}");
    }
}
