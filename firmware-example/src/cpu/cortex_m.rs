//! Cortex-M.

pub use cortex_m::asm::wfi;
pub use cortex_m_rt::entry;

use cortex_m_rt::{ExceptionFrame, exception};

unsafe extern "C" {
    /// The stack grows down to here: the end of the statics.
    #[link_name = "_stack_end"]
    pub static STACK_END: u32;
}

/// A loop of a million instructions.
#[cfg(feature = "counter")]
pub fn million() {
    cortex_m::asm::delay(1_000_000 / 2 - 1);
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#010x}, called from {=u32:#010x}", frame.pc(), frame.lr());
    crate::exit(false)
}
