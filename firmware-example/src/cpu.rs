//! What differs between the cores: where a program begins, what a fault does, where the stack lies.

#[cfg(target_arch = "arm")]
#[path = "cpu/cortex_m.rs"]
mod core;
#[cfg(board = "esp32-c3")]
#[path = "cpu/esp32c3.rs"]
mod core;
#[cfg(all(target_arch = "riscv32", not(board = "esp32-c3")))]
#[path = "cpu/riscv.rs"]
mod core;

pub use self::core::*;
