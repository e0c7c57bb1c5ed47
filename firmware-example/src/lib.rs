//! What the programs have in common: a file in flash, its self-test, a verdict over semihosting.

#![no_std]

#[cfg(feature = "counter")]
pub mod counter;

use cortex_m_semihosting::{debug, hio};
use flatpack_runtime::{Kernel, Model, Session};

flatpack_runtime::include_model!(
    /// The model of the example.
    pub DIGITS,
    "digits_cnn.fpk"
);

/// The verdict on a chip that computes what the host computed.
pub const OK: &str = "goldens met: this chip computes what the host computed\n";

/// Loads a file in place, runs its goldens, and says what came of it.
pub fn check(file: &[u8], kernels: &[Kernel], arena: &mut [u8]) -> &'static str {
    let Ok(model) = Model::parse(file) else { return "the file breaks a rule of its format\n" };
    if model.check_contents().is_err() {
        return "the file was changed: a checksum differs\n";
    }
    let Ok(mut session) = Session::load(model, kernels, arena) else {
        return "the model does not load here\n";
    };
    match session.check_goldens() {
        Ok(_) => OK,
        Err(_) => "this chip computes something else than the host\n",
    }
}

/// Says the verdict, and ends the emulation.
pub fn end(verdict: &str) -> ! {
    if let Ok(mut out) = hio::hstdout() {
        let _ = out.write_all(verdict.as_bytes());
    }
    exit(verdict == OK)
}

/// Ends the emulation.
pub fn exit(good: bool) -> ! {
    debug::exit(if good { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
