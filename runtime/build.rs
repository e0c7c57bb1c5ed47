//! Says which instructions the target has, as `cfg(flatpack_arch = "…")`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(flatpack_arch, values(\"armv6m\", \"armv7em\", \"helium\"))");
    println!("cargo::rustc-check-cfg=cfg(flatpack_dsp, values(\"named\"))");
    println!("cargo::rustc-check-cfg=cfg(flatpack_float, values(\"vfp\"))");
    let target = env::var("TARGET").unwrap_or_default();
    let has = |instruction: &str| assembles(&target, instruction).unwrap_or(false);
    // Every core of `thumbv7em` has the DSP instructions: Cortex-M4 and M7. Of `thumbv8m.main`, some have Helium,
    // Cortex-M55 and M85, for example, and some the DSP instructions, as Cortex-M33 may, if `-C target-cpu` names
    // them.
    let arch = match target.as_str() {
        target if target.starts_with("thumbv6m-") => "armv6m",
        target if target.starts_with("thumbv7em-") => "armv7em",
        target if !target.starts_with("thumbv8m.main-") => return,
        _ if has("vmladava.s8 r0, q0, q1") => "helium",
        _ if has("smlad r0, r1, r2, r3") => {
            println!("cargo::rustc-cfg=flatpack_dsp=\"named\"");
            "armv7em"
        }
        _ => return,
    };
    println!("cargo::rustc-cfg=flatpack_arch=\"{arch}\"");
    if has("vmla.f32 s0, s1, s2") {
        println!("cargo::rustc-cfg=flatpack_float=\"vfp\"");
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
