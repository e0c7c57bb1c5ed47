//! ESP32-C3: start-up, memory map and faults are esp-hal's.

pub use esp_hal::main as entry;

unsafe extern "C" {
    /// The stack grows down to here: the end of the statics.
    #[link_name = "_stack_end"]
    pub static STACK_END: u32;
}

// The boot loader wants to know what it starts.
esp_bootloader_esp_idf::esp_app_desc!();

/// Stops the watchdogs that the boot loader started.
pub fn init() {
    let _peripherals = esp_hal::init(esp_hal::Config::default());
}

/// Waits for an interrupt.
pub fn wfi() {
    // SAFETY: it touches no memory.
    unsafe { core::arch::asm!("wfi", options(nomem, nostack)) };
}

/// Has faults logged in this program: by esp-hal, which logs them anyway.
#[macro_export]
macro_rules! log_faults {
    () => {};
}
