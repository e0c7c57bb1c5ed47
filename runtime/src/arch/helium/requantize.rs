//! Sums as elements of y, four in a vector: what the loops over outputs end with.

use crate::arch::OutputsI8;
use core::arch::naked_asm;
use flatpack_format::ops::{Multiplier, OutputI8};

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

/// See [`Arch::all_plain`](crate::arch::Arch::all_plain).
pub(super) fn all_plain(multipliers: &[Multiplier]) -> bool {
    // SAFETY: a multiplier is two words, of which so many are there.
    let bits = unsafe { bits(multipliers.as_ptr(), 2 * multipliers.len()) };
    (bits as u32) < 1 << 30 && bits >> 32 < 32
}

/// What bits mantissas have, of 31 of which the first is taken off; and those of the places that they are shifted to the
/// right by, less one, and of 11 more: if these are 5 each time, there are no more than 21 places. In the lower half the
/// former, in the upper half the latter.
///
/// # Safety
/// There are so many words of multipliers.
#[unsafe(naked)]
unsafe extern "C" fn bits(multipliers: *const Multiplier, words: usize) -> u64 {
    naked_asm!(
        architecture!(),
        "push {{r7, lr}}",
        "mov r2, #0x40000000",
        "mvn r3, #0",
        "vmov q1[2], q1[0], r2, r2",
        "vmov q1[3], q1[1], r3, r3",
        "movs r2, #0",
        "movs r3, #11",
        "vmov q2[2], q2[0], r2, r2",
        "vmov q2[3], q2[1], r3, r3",
        "vmov.i32 q3, #0",
        "wlstp.32 lr, r1, 3f",
        "2:",
        "vldrw.u32 q0, [r0], #16",
        "veor q0, q0, q1",
        "vorr q3, q3, q0",
        "vadd.i32 q0, q0, q2",
        "vorr q3, q3, q0",
        "letp lr, 2b",
        "3:",
        "vmov r0, r2, q3[2], q3[0]",
        "vmov r1, r3, q3[3], q3[1]",
        "orrs r0, r0, r2",
        "orrs r1, r1, r3",
        "pop {{r7, pc}}",
    )
}

/// Sums in `$v` by a multiplier of any domain: its mantissa in `$m`, the places to the left in `$left`, those to the right,
/// negative, in each lane of `$right`. Only what is shifted to the right is lowered before. Takes `$t`.
macro_rules! multiply {
    ($v:literal, $m:literal, $left:literal, $right:literal, $t:literal) => {
        concat!(
            "vshl.s32 ",
            $v,
            ", ",
            $left,
            "\n",
            "vqrdmulh.s32 ",
            $v,
            ", ",
            $v,
            ", ",
            $m,
            "\n",
            "vand ",
            $t,
            ", ",
            $v,
            ", ",
            $right,
            "\n",
            "vshr.s32 ",
            $t,
            ", ",
            $t,
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
            $right,
            "\n",
        )
    };
}

/// The multiplier that r3 points to as [`multiply!`] takes it: r3, r12 and q1.
macro_rules! multiplier {
    () => {
        "ldrd r3, r12, [r3]
        and lr, r12, r12, asr #31
        bic r12, r12, r12, asr #31
        vdup.32 q1, lr
        "
    };
}

/// See [`Arch::add_multiplied_i16`](crate::arch::Arch::add_multiplied_i16).
pub(super) fn add_multiplied_i16(y: &mut [i16], sums: &[i32], by: Multiplier) {
    // SAFETY: both have so many elements.
    unsafe { add_multiplied(y.as_mut_ptr(), sums.as_ptr(), y.len().min(sums.len()), &by) }
}

/// # Safety
/// y and `sums` point to `len` elements.
#[unsafe(naked)]
unsafe extern "C" fn add_multiplied(y: *mut i16, sums: *const i32, len: usize, by: &Multiplier) {
    naked_asm!(
        architecture!(),
        "push {{r7, lr}}",
        multiplier!(),
        "wlstp.32 lr, r2, 3f",
        "2:",
        "vldrw.u32 q0, [r1], #16",
        multiply!("q0", "r3", "r12", "q1", "q2"),
        "vqmovnb.s32 q0, q0",
        "vldrh.s32 q2, [r0]",
        "vqadd.s16 q0, q0, q2",
        "vstrh.32 q0, [r0], #8",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// See [`Arch::requantize_row_i8`](crate::arch::Arch::requantize_row_i8).
pub(super) fn requantize_row_i8(y: &mut [i8], sums: &[i32], by: Multiplier, of_y: &OutputI8) {
    // SAFETY: both have so many elements.
    unsafe { requantize_row(y.as_mut_ptr(), sums.as_ptr(), y.len().min(sums.len()), &by, of_y) }
}

/// # Safety
/// y and `sums` point to `len` elements.
#[unsafe(naked)]
unsafe extern "C" fn requantize_row(
    y: *mut i8,
    sums: *const i32,
    len: usize,
    by: &Multiplier,
    of_y: &OutputI8,
) {
    naked_asm!(
        architecture!(),
        "push {{r4, r5, r6, lr}}",
        "vpush {{d8, d9}}",
        multiplier!(),
        "ldr r6, [sp, #32]",
        "ldm r6, {{r4, r5, r6}}",
        "vdup.32 q2, r5",
        "vdup.32 q3, r6",
        "wlstp.32 lr, r2, 3f",
        "2:",
        "vldrw.u32 q0, [r1], #16",
        multiply!("q0", "r3", "r12", "q1", "q4"),
        "vadd.i32 q0, q0, r4",
        "vmax.s32 q0, q0, q2",
        "vmin.s32 q0, q0, q3",
        "vstrb.32 q0, [r0], #4",
        "letp lr, 2b",
        "3:",
        "vpop {{d8, d9}}",
        "pop {{r4, r5, r6, pc}}",
    )
}
