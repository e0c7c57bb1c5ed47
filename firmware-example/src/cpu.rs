//! What differs between the cores: where a program begins, what a fault does, where the stack lies.

#[cfg(target_arch = "arm")]
#[path = "cpu/cortex_m.rs"]
mod core;
#[cfg(target_arch = "riscv32")]
#[path = "cpu/riscv.rs"]
mod core;

pub use self::core::*;
