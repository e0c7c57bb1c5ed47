//! Puts the memory map of the board where the linker looks for it, and says which files programs take.

use std::{env, fs, path::PathBuf};

/// The board if no feature names one.
const DEFAULT_BOARD: &str = "lm3s6965evb";

fn main() {
    let boards: Vec<String> = fs::read_dir("boards")
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .collect();
    println!("cargo::rustc-check-cfg=cfg(board, values(\"{}\"))", boards.join("\", \""));
    let feature = |board: &&String| {
        let name = board.to_uppercase().replace('-', "_");
        env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
    };
    let board = boards.iter().find(feature).map_or(DEFAULT_BOARD, String::as_str);
    println!("cargo::rustc-cfg=board=\"{board}\"");
    settings(board);

    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    println!("cargo::rustc-link-search={}", out.display());
    let map = format!("boards/{board}.x");
    if fs::exists(&map).unwrap() {
        fs::copy(&map, out.join("memory.x")).unwrap();
        // Start-up code for Cortex-M asks for names of interrupts, too: there are none.
        fs::write(out.join("device.x"), "").unwrap();
    }
    println!("cargo::rerun-if-changed={map}");
    // Start-up code for Cortex-M includes the memory map, that for RISC-V wants it first, esp-hal has its own.
    let scripts: &[&str] = match board {
        "esp32-c3" => &["linkall.x"],
        "riscv32-virt" => &["memory.x", "link.x"],
        _ => &["link.x"],
    };
    for script in scripts {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    // The smallest image has no log: what texts would be in it are dropped.
    fs::write(out.join("silent.x"), "SECTIONS { /DISCARD/ : { *(.defmt .defmt.*) } }\n").unwrap();
    let programs = fs::read_dir("src/bin").unwrap().map(|entry| entry.unwrap().path());
    for program in programs.chain([PathBuf::from(env::var_os("CARGO_PKG_NAME").unwrap())]) {
        let name = program.file_stem().unwrap().to_str().unwrap();
        let script = if name == "smallest" { "silent.x" } else { "defmt.x" };
        println!("cargo::rustc-link-arg-bin={name}=-T{script}");
    }

    path("FLATPACK_MODEL", "digits_cnn.fpk");
    if env::var_os("CARGO_FEATURE_CONFORMANCE").is_some() {
        path("FLATPACK_CONFORMANCE", "conformance.pack");
    }
}

/// Refuses to build for a board whose core cargo was not told of: its fast kernels would be missing.
fn settings(board: &str) {
    let file = format!("boards/{board}.toml");
    println!("cargo::rerun-if-changed={file}");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let target = format!("target = \"{}\"", env::var("TARGET").unwrap());
    let cpu = text.split('"').find(|flag| flag.starts_with("target-cpu="));
    if board != DEFAULT_BOARD && text.contains(&target) && cpu.is_some_and(|cpu| !flags.contains(cpu)) {
        panic!("use `cargo {board}`, or give cargo `--config {file} --features {board}`");
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
