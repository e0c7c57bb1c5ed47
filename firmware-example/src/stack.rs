//! How much stack a program takes: it is painted, and what was written over is counted.

use crate::cpu::STACK_END;
use core::ptr::{addr_of, from_ref};

/// A word that programs rarely write.
const PAINT: u32 = 0xdead_57ac;

/// At most this much is painted, in bytes: a program that takes more than half of it takes too much.
pub const PAINTED_BYTES: usize = 32 << 10;

/// Bytes below the painting frame that are left alone: the frames of what paints.
const IN_USE_BYTES: usize = 128;

/// A painted stack.
pub struct Stack {
    bottom: usize,
    top: usize,
}

impl Stack {
    /// Paints what lies below the caller's frame.
    #[inline(never)]
    pub fn paint() -> Self {
        let here = 0u32;
        let top = (from_ref(&here).addr() - IN_USE_BYTES) & !3;
        let end = addr_of!(STACK_END).expose_provenance();
        let bottom = end.max(top.saturating_sub(PAINTED_BYTES));
        for address in (bottom..top).step_by(4) {
            // SAFETY: between the statics and the frames in use lies nothing, and nothing else runs.
            unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) };
        }
        Self { bottom, top }
    }

    /// Bytes below the frame that painted which were written since.
    pub fn bytes(&self) -> u32 {
        // SAFETY: as in `paint`; a word in use may be read.
        let word = |address| unsafe { core::ptr::with_exposed_provenance::<u32>(address).read_volatile() };
        let unused = (self.bottom..self.top).step_by(4).take_while(|&address| word(address) == PAINT).count();
        (self.top - self.bottom - 4 * unused + IN_USE_BYTES) as u32
    }
}
