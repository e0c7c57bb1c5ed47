//! Eight channels of a pixel, folded over taps.

use crate::arch::{LANES, Patch};
use core::arch::naked_asm;

/// The taps of a plane. Steps go from a tap to the next, and from past the last one of a row to the first of the next.
#[repr(C)]
struct Taps<T> {
    x: *const i8,
    columns: usize,
    x_tap: usize,
    rows: usize,
    x_row: usize,
    lanes: *mut T,
}

/// How lanes are folded.
pub(super) enum Fold {
    Max,
    Min,
}

/// See [`Arch::sum_tile_i8`](crate::arch::Arch::sum_tile_i8).
pub(super) fn sum(patch: &Patch<'_, 1, i8>, sums: &mut [i32; LANES]) -> Option<()> {
    each_plane(patch, sums.as_mut_ptr(), |taps| {
        // SAFETY: eight elements were seen at each tap, of which there is one; there are eight sums.
        unsafe { sums8(taps) }
    })
}

/// See [`Arch::max_tile_i8`](crate::arch::Arch::max_tile_i8).
pub(super) fn fold(patch: &Patch<'_, 1, i8>, lanes: &mut [i8; LANES], fold: Fold) -> Option<()> {
    let run = match fold {
        Fold::Max => maxima8,
        Fold::Min => minima8,
    };
    each_plane(patch, lanes.as_mut_ptr(), |taps| {
        // SAFETY: eight elements were seen at each tap, of which there is one; there are eight lanes.
        unsafe { run(taps) }
    })
}

/// Calls `f` for each plane of taps that have eight elements.
#[inline(always)]
fn each_plane<T>(patch: &Patch<'_, 1, i8>, lanes: *mut T, f: impl Fn(&Taps<T>)) -> Option<()> {
    let &Patch { x: [x], counts: [planes, rows, columns], x_steps: [x_plane, x_row, x_tap], .. } = patch;
    if rows == 0 || columns == 0 {
        return Some(());
    }
    let last = x_row.checked_mul(rows - 1)?.checked_add(x_tap.checked_mul(columns - 1)?)?;
    let x_row = x_row.wrapping_sub(x_tap.wrapping_mul(columns));
    for plane in 0..planes {
        let x = x.get(plane.checked_mul(x_plane)?..)?;
        x.get(last..)?.get(..LANES)?;
        f(&Taps { x: x.as_ptr(), columns, x_tap, rows, x_row, lanes });
    }
    Some(())
}

/// # Safety
/// At each tap there are eight elements; `lanes` points to eight sums. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn sums8(taps: &Taps<i32>) {
    naked_asm!(
        architecture!(),
        "push {{r4-r6, lr}}",
        "ldm r0, {{r1-r6}}",
        "vldrw.u32 q0, [r6]",
        "vldrw.u32 q1, [r6, #16]",
        "2:",
        "dls lr, r2",
        "3:",
        "vldrb.s32 q2, [r1]",
        "vadd.i32 q0, q0, q2",
        "vldrb.s32 q3, [r1, #4]",
        "vadd.i32 q1, q1, q3",
        "add r1, r1, r3",
        "le lr, 3b",
        "add r1, r1, r5",
        "subs r4, r4, #1",
        "bne 2b",
        "vstrw.32 q0, [r6]",
        "vstrw.32 q1, [r6, #16]",
        "pop {{r4-r6, pc}}",
    )
}

macro_rules! extrema {
    ($name:ident, $fold:literal) => {
        /// # Safety
        /// At each tap there are eight elements; `lanes` points to as many. No count is 0.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(taps: &Taps<i8>) {
            naked_asm!(
                architecture!(),
                "push {{r4-r6, lr}}",
                "ldm r0, {{r1-r6}}",
                "vldrb.s16 q0, [r6]",
                "2:",
                "dls lr, r2",
                "3:",
                "vldrb.s16 q1, [r1]",
                concat!($fold, " q0, q0, q1"),
                "add r1, r1, r3",
                "le lr, 3b",
                "add r1, r1, r5",
                "subs r4, r4, #1",
                "bne 2b",
                "vstrb.16 q0, [r6]",
                "pop {{r4-r6, pc}}",
            )
        }
    };
}

extrema!(maxima8, "vmax.s16");
extrema!(minima8, "vmin.s16");
