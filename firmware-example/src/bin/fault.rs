//! A fault is logged and ends the run with a failure: what `.ci/boards` trusts in.

#![no_std]
#![no_main]

use firmware_example::entry;

firmware_example::log_faults!();

#[entry]
fn main() -> ! {
    // SAFETY: the instruction is undefined and traps.
    #[cfg(target_arch = "arm")]
    unsafe {
        core::arch::asm!("udf #0", options(noreturn))
    }
    // SAFETY: as above.
    #[cfg(target_arch = "riscv32")]
    unsafe {
        core::arch::asm!("unimp", options(noreturn))
    }
}
