//! Puts the memory map of the board where the linker looks for it, and says which model `bench` runs.

use std::{env, fs, path::PathBuf};

/// The boards, each a feature and a memory map. Without a feature: the first.
const BOARDS: &[&str] = &["lm3s6965evb", "mps2-an386", "mps3-an547"];

fn main() {
    let feature = |board: &&&str| {
        let name = board.to_uppercase().replace('-', "_");
        env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
    };
    let board = BOARDS.iter().find(feature).unwrap_or(&BOARDS[0]);
    let map = format!("boards/{board}.x");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    fs::copy(&map, out.join("memory.x")).unwrap();
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed={map}");

    // `bench` runs any model, `conformance` a pack of cases.
    path("FLATPACK_MODEL", "digits_cnn.fpk");
    if env::var_os("CARGO_FEATURE_CONFORMANCE").is_some() {
        path("FLATPACK_CONFORMANCE", "conformance.pack");
    }
}

/// Tells the program the whole path of the file that a variable names.
fn path(variable: &str, default: &str) {
    println!("cargo::rerun-if-env-changed={variable}");
    let file = env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from);
    println!("cargo::rerun-if-changed={}", file.display());
    let file = fs::canonicalize(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    println!("cargo::rustc-env={variable}_PATH={}", file.display());
}
