//! Says which instructions the target has, as `cfg(flatpack_arch = "…")`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(flatpack_arch, values(\"armv7em\"))");
    let target = std::env::var("TARGET").unwrap_or_default();
    // Every core of this architecture has the DSP instructions: Cortex-M4 and M7.
    if target.starts_with("thumbv7em-") {
        println!("cargo::rustc-cfg=flatpack_arch=\"armv7em\"");
    }
}
