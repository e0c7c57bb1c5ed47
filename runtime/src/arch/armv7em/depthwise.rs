//! Depthwise convolution, in tiles of four channels of a pixel.

use super::requantize::Ends;
use crate::arch::{OutputsI8, Patch};
use core::arch::naked_asm;
use flatpack_format::ops::Multiplier;

/// See [`Arch::depthwise_i8`](super::Arch::depthwise_i8).
pub(super) fn depthwise_i8<const P: usize>(
    patch: &Patch<'_, P, i8>,
    offset: i16,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    y: &mut [&mut [i8]; P],
) -> Option<usize> {
    let [1, rows, columns] = patch.counts else { return None };
    let [[_, x_row, x_tap], [_, w_row, w_tap]] = [patch.x_steps, steps(patch.w_steps)?];
    let tiles = y.iter().map(|y| y.len()).min()? / 4;
    if rows == 0 || columns == 0 || tiles == 0 || !outputs.plain {
        return None;
    }
    let done = 4 * tiles;
    let past = |row: usize, tap: usize| {
        row.checked_mul(rows - 1)?.checked_add(tap.checked_mul(columns - 1)?)?.checked_add(done)
    };
    let w = w.get(patch.w_at..)?;
    w.get(..past(w_row, w_tap)?)?;
    outputs.bias.get(..done)?;
    let of_all;
    let (requant, requant_step) = match outputs.requant {
        [one] => {
            of_all = [*one; 4];
            (of_all.as_slice(), 0)
        }
        all => (all.get(..done)?, 4 * size_of::<Multiplier>()),
    };
    for (x, y) in patch.x.iter().zip(y) {
        x.get(..past(x_row, x_tap)?)?;
        let mut task = Depthwise {
            x_tap,
            w_tap,
            columns,
            x_row: x_row.wrapping_sub(x_tap.wrapping_mul(columns)),
            w_row: w_row.wrapping_sub(w_tap.wrapping_mul(columns)),
            rows,
            x: x.as_ptr(),
            w: w.as_ptr(),
            bias: outputs.bias.as_ptr(),
            requant: requant.as_ptr(),
            requant_step,
            y: y.get_mut(..done)?.as_mut_ptr(),
            tiles,
            ends: Ends::of(outputs),
            offset: u32::from(offset as u16).wrapping_mul(0x1_0001),
        };
        // SAFETY: x, w, `bias` and `requant` were seen to have what `done` channels of every tap take,
        // and y has room for them.
        unsafe { depthwise(&mut task) };
    }
    Some(done)
}

fn steps(steps: [isize; 3]) -> Option<[usize; 3]> {
    let [a, b, c] = steps;
    Some([a.try_into().ok()?, b.try_into().ok()?, c.try_into().ok()?])
}

/// The state of a loop over tiles of channels. Steps go from a tap to the next, and from the last one of a
/// row to the first of the next row.
#[repr(C)]
struct Depthwise {
    x_tap: usize,
    w_tap: usize,
    columns: usize,
    x_row: usize,
    w_row: usize,
    rows: usize,
    x: *const i8,
    w: *const i8,
    bias: *const i32,
    requant: *const Multiplier,
    requant_step: usize,
    y: *mut i8,
    tiles: usize,
    ends: Ends,
    offset: u32,
}

/// Four channels of a tap, whose words are in r8 and r9.
macro_rules! tap {
    () => {
        "sxtab16 r10, r3, r8
        sxtb16 r11, r9
        smlabb r4, r10, r11, r4
        smlatt r6, r10, r11, r6
        sxtab16 r10, r3, r8, ror #8
        sxtb16 r11, r9, ror #8
        smlabb r5, r10, r11, r5
        smlatt r7, r10, r11, r7
        "
    };
}

/// Tiles of one pixel and four channels.
///
/// # Safety
/// At each tap, x and w have the channels of all tiles; `bias` and `requant` point to those of all tiles, y to
/// room for them. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn depthwise(task: &mut Depthwise) {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "mov r2, r0",
        "2:",
        "ldr r12, [r2, #32]",
        "ldm r12!, {{r4-r7}}",
        "str r12, [r2, #32]",
        "ldrd r0, r1, [r2, #24]",
        "add r8, r0, #4",
        "add r9, r1, #4",
        "strd r8, r9, [r2, #24]",
        "ldr r3, [r2, #64]",
        "ldr lr, [r2, #20]",
        "ldrd r8, r9, [r2]",
        "ldr r12, [r2, #8]",
        "cmp r8, r9",
        "it eq",
        "cmpeq r12, #3",
        "bne 4f",
        // Rows of three taps, whose steps are the same in x and in w.
        "mov r12, r8",
        "7:",
        "ldr r8, [r0]",
        "ldr r9, [r1]",
        tap!(),
        "ldr r8, [r0, r12]",
        "ldr r9, [r1, r12]",
        tap!(),
        "ldr r8, [r0, r12, lsl #1]",
        "ldr r9, [r1, r12, lsl #1]",
        tap!(),
        "add r11, r12, r12, lsl #1",
        "ldrd r8, r9, [r2, #12]",
        "add r0, r0, r8",
        "add r1, r1, r9",
        "add r0, r0, r11",
        "add r1, r1, r11",
        "subs lr, lr, #1",
        "bne 7b",
        "b 5f",
        "3:",
        "ldr r12, [r2, #8]",
        "4:",
        "ldr r8, [r0]",
        "ldr r9, [r1]",
        tap!(),
        "ldm r2, {{r8, r9}}",
        "add r0, r0, r8",
        "add r1, r1, r9",
        "subs r12, r12, #1",
        "bne 4b",
        "ldrd r8, r9, [r2, #12]",
        "add r0, r0, r8",
        "add r1, r1, r9",
        "subs lr, lr, #1",
        "bne 3b",
        "5:",
        "ldrd r12, lr, [r2, #36]",
        "ldr r3, [r2, #52]",
        requantize_four!(),
        "add r12, r12, lr",
        "str r12, [r2, #36]",
        "ldrd r8, r9, [r2, #56]",
        bound_four!(),
        join_four!(),
        "ldr r10, [r2, #44]",
        "str r4, [r10], #4",
        "str r10, [r2, #44]",
        "ldr r1, [r2, #48]",
        "subs r1, r1, #1",
        "str r1, [r2, #48]",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}
