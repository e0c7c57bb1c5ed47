//! Single precision of Cortex-M4F, M7, M33 and M55: 32 registers, and loads of several at once.
//!
//! A product is added by `vmla`, which rounds twice: results are those of the portable loops, bit by bit. (On
//! Cortex-M4 `vmul` and `vadd` take a cycle less, and twice the instructions.) Helium has loops of its own for all but
//! short taps.

/// Products of registers, added one after the other.
macro_rules! vmla {
    ($($sum:literal += $x:literal * $w:literal),+) => {
        concat!($("vmla.f32 s", $sum, ", s", $x, ", s", $w, "\n"),+)
    };
}

mod depthwise;
mod gemm;
mod tiles;

pub(in crate::arch) use depthwise::depthwise_f32;
pub(in crate::arch) use gemm::{Products, gemm_rows_f32};

/// See [`super::Arch::clamp_f32`].
#[inline(always)]
pub(super) fn clamp_f32(low: f32, high: f32, y: &mut [f32]) {
    // Most bounds are infinite.
    if low > f32::NEG_INFINITY {
        y.iter_mut().filter(|y| **y < low).for_each(|y| *y = low);
    }
    if high < f32::INFINITY {
        y.iter_mut().filter(|y| **y > high).for_each(|y| *y = high);
    }
}
