//! RISC-V.

pub use riscv::asm::wfi;
pub use riscv_rt::entry;

use riscv::register::{mcause, mepc};

unsafe extern "C" {
    /// The stack grows down to here: the end of the statics.
    #[link_name = "__estack"]
    pub static STACK_END: u32;
}

/// A loop of a million instructions.
#[cfg(feature = "counter")]
pub fn million() {
    riscv::asm::delay(1_000_000 - 2);
}

/// Logs a fault, and ends.
pub fn fault() -> ! {
    defmt::error!("exception {=usize} at {=usize:#010x}", mcause::read().code(), mepc::read());
    crate::exit(false)
}

/// Has faults logged in this program.
#[macro_export]
macro_rules! log_faults {
    () => {
        #[unsafe(export_name = "ExceptionHandler")]
        fn exception(_: &riscv_rt::TrapFrame) -> ! {
            $crate::fault()
        }
    };
}
