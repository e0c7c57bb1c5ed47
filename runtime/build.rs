//! Says which instructions the target has, as `cfg(flatpack_arch = "…")`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(flatpack_arch, values(\"armv7em\", \"helium\"))");
    let target = env::var("TARGET").unwrap_or_default();
    // Every core of the first architecture has the DSP instructions: Cortex-M4 and M7. Of the second, some
    // have Helium: Cortex-M55 and M85, for example, if `-C target-cpu` names them.
    if target.starts_with("thumbv7em-") {
        println!("cargo::rustc-cfg=flatpack_arch=\"armv7em\"");
    } else if target.starts_with("thumbv8") && assembles(&target, "vmladava.s8 r0, q0, q1").unwrap_or(false) {
        println!("cargo::rustc-cfg=flatpack_arch=\"helium\"");
    }
}

/// Whether the compiler takes this instruction, with the flags of this build. (It does not tell a stable
/// build of all features that a target has.)
fn assembles(target: &str, instruction: &str) -> Option<bool> {
    let out = env::var("OUT_DIR").ok()?;
    let probe = Path::new(&out).join("probe.rs");
    fs::write(&probe, format!("#![no_std]\ncore::arch::global_asm!(\"{instruction}\");\n")).ok()?;
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let status = Command::new(env::var_os("RUSTC")?)
        .args(["--target", target, "--crate-type", "lib", "--crate-name", "probe", "--emit", "obj"])
        .args(["--out-dir", &out])
        .args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()))
        .arg(&probe)
        .stderr(Stdio::null())
        .status();
    Some(status.ok()?.success())
}
