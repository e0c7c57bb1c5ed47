//! Cortex-M.

pub use cortex_m::asm::wfi;
pub use cortex_m_rt::entry;

use cortex_m_rt::ExceptionFrame;

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

unsafe extern "C" {
    fn DefaultHandler();
}

/// Interrupt vectors. No program here enables an interrupt: one is what start-up code wants, where by itself it puts
/// 240.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [DefaultHandler];

/// Logs a fault, and ends.
pub fn fault(frame: &ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#010x}, called from {=u32:#010x}", frame.pc(), frame.lr());
    crate::exit(false)
}

/// Has faults logged in this program.
#[macro_export]
macro_rules! log_faults {
    () => {
        #[cortex_m_rt::exception]
        unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
            $crate::fault(frame)
        }
    };
}
