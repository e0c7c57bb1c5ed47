//! Sums as elements of y, four in a vector: what the loops over outputs end with.

use crate::arch::{Arch, OutputsI8, Portable};
use core::arch::naked_asm;
use flatpack_format::ops::Multiplier;

/// What becomes of sums.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Ends {
    zero_point: i32,
    min: i32,
    max: i32,
}

impl Ends {
    pub(super) fn of(outputs: &OutputsI8<'_>) -> Self {
        let y = &outputs.y;
        Self { zero_point: y.zero_point, min: y.min, max: y.max }
    }
}

/// The multipliers of the first `outputs` outputs, and the bytes from those of `tile` of them to the next: none
/// where all have the same, which `same` then is filled with.
pub(super) fn multipliers<'m, const TILE: usize>(
    requant: &'m [Multiplier],
    outputs: usize,
    same: &'m mut [Multiplier; TILE],
) -> Option<(&'m [Multiplier], usize)> {
    if let [one] = requant {
        *same = [*one; TILE];
        return Some((same, 0));
    }
    Some((requant.get(..outputs)?, TILE * size_of::<Multiplier>()))
}

/// Sums in `$v` by mantissas `$m` and shifts `$e`, which are negative: rounded to 32 bits, halves up, then by the
/// shift, halves away from zero. Halves go up in this instruction, so that negative numbers are lowered by one
/// before; the most negative one stays, as nothing of it is shifted out that would matter. Takes `$t`.
macro_rules! requantize {
    ($v:literal, $m:literal, $e:literal, $t:literal) => {
        concat!(
            "vqrdmulh.s32 ",
            $v,
            ", ",
            $v,
            ", ",
            $m,
            "\n",
            "vshr.s32 ",
            $t,
            ", ",
            $v,
            ", #31\n",
            "vqadd.s32 ",
            $v,
            ", ",
            $v,
            ", ",
            $t,
            "\n",
            "vrshl.s32 ",
            $v,
            ", ",
            $v,
            ", ",
            $e,
            "\n",
        )
    };
}

/// See [`Arch::multiply_i32`].
pub(super) fn multiply_i32(numbers: &mut [i32], by: Multiplier) {
    if by.shift >= 0 {
        return Portable::multiply_i32(numbers, by);
    }
    // SAFETY: so many numbers are there.
    unsafe { multiply(numbers.as_mut_ptr(), numbers.len(), by.mantissa, by.shift) }
}

/// Numbers times a multiplier.
///
/// # Safety
/// There are `len` of them. The shift is below 0.
#[unsafe(naked)]
unsafe extern "C" fn multiply(numbers: *mut i32, len: usize, mantissa: i32, shift: i32) {
    naked_asm!(
        architecture!(),
        "push {{r7, lr}}",
        "vdup.32 q1, r2",
        "vdup.32 q2, r3",
        "wlstp.32 lr, r1, 3f",
        "2:",
        "vldrw.u32 q0, [r0]",
        requantize!("q0", "q1", "q2", "q3"),
        "vstrw.32 q0, [r0], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}
