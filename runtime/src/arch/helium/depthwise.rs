//! Depthwise convolution, in tiles of eight channels of a pixel.

use super::requantize::{Ends, multipliers};
use crate::arch::{OutputsI8, Patch};
use crate::fixed;
use core::arch::naked_asm;
use flatpack_format::ops::Multiplier;

/// Channels of a tile.
const TILE: usize = 8;

/// See [`Arch::depthwise_i8`](crate::arch::Arch::depthwise_i8). If channels are left over, the last tile begins early
/// enough to be a whole one.
pub(super) fn depthwise_i8<const P: usize>(
    patch: &Patch<'_, P, i8>,
    offset: i16,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    y: &mut [&mut [i8]; P],
) -> Option<usize> {
    let [1, rows, columns] = patch.counts else { return None };
    let ([_, x_row, x_tap], [_, w_row, w_tap]) = (patch.x_steps, patch.w_steps);
    let (w_row, w_tap) = (usize::try_from(w_row).ok()?, usize::try_from(w_tap).ok()?);
    let done = y.iter().map(|y| y.len()).min()?;
    let last = done.checked_sub(TILE)?;
    if rows == 0 || columns == 0 || !outputs.plain {
        return None;
    }
    let past = |row: usize, tap: usize| {
        row.checked_mul(rows - 1)?.checked_add(tap.checked_mul(columns - 1)?)?.checked_add(done)
    };
    let w = w.get(patch.w_at..)?;
    w.get(..past(w_row, w_tap)?)?;
    let bias = outputs.bias.get(..done)?;
    let mut same = [Multiplier { mantissa: 0, shift: 0 }; TILE];
    let (requant, requant_step) = multipliers(outputs.requant, done, &mut same)?;
    let tiles = done / TILE;
    let parts = [(0, tiles), (last, usize::from(!done.is_multiple_of(TILE)))];
    for (x, y) in patch.x.iter().zip(y) {
        x.get(..past(x_row, x_tap)?)?;
        for (first, tiles) in parts.into_iter().filter(|(_, tiles)| *tiles > 0) {
            let mut task = Depthwise {
                x: x.get(first..)?.as_ptr(),
                w: w.get(first..)?.as_ptr(),
                columns,
                x_tap,
                w_tap,
                rows,
                x_row: x_row.wrapping_sub(x_tap.wrapping_mul(columns)),
                w_row: w_row.wrapping_sub(w_tap.wrapping_mul(columns)),
                bias: bias.get(first..)?.as_ptr(),
                requant: if requant_step == 0 { requant } else { requant.get(first..)? }.as_ptr(),
                requant_step,
                y: y.get_mut(first..)?.as_mut_ptr(),
                offset: offset.into(),
                tiles,
                ends: Ends::of(outputs),
            };
            // SAFETY: x, w, `bias` and `requant` were seen to have what `done` channels of every tap take, which is
            // where these tiles end at most, and y has room for them.
            unsafe { depthwise(&mut task) };
        }
    }
    Some(done)
}

/// See [`Arch::depthwise_window_i8`](crate::arch::Arch::depthwise_window_i8).
pub(super) fn depthwise_window_i8(w: &[i8], outputs: &OutputsI8<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let channels = y.len();
    let taps = w.len().checked_div(channels)?;
    if channels < TILE {
        for (channel, (y, &bias)) in y.iter_mut().zip(outputs.bias).enumerate() {
            let [x, w] = [x, w].map(|v| v.iter().skip(channel).step_by(channels));
            let sum = x.zip(w).fold(bias, |sum, (&x, &w)| sum.wrapping_add(i32::from(x) * i32::from(w)));
            *y = fixed::requantize(sum, fixed::of_output(outputs.requant, channel)?, &outputs.y);
        }
        return Some(());
    }
    let (x_steps, w_steps) = ([0, 0, channels], [0, 0, channels as isize]);
    let patch = Patch { x: [x], w_at: 0, len: channels, counts: [1, 1, taps], x_steps, w_steps };
    depthwise_i8(&patch, 0, w, outputs, &mut [y]).map(drop)
}

/// The state of a loop over tiles of channels. Steps go from a tap to the next, and from past the last one of a
/// row to the first of the next row.
#[repr(C)]
struct Depthwise {
    x: *const i8,
    w: *const i8,
    columns: usize,
    x_tap: usize,
    w_tap: usize,
    rows: usize,
    x_row: usize,
    w_row: usize,
    bias: *const i32,
    requant: *const Multiplier,
    requant_step: usize,
    y: *mut i8,
    offset: i32,
    tiles: usize,
    ends: Ends,
}

/// Eight channels of a tap.
macro_rules! tap {
    ($add_offset:literal) => {
        concat!(
            "vldrb.s16 q2, [r0]\n",
            "add r0, r0, r4\n",
            "vldrb.s16 q3, [r1]\n",
            $add_offset,
            "add r1, r1, r5\n",
            "vmullb.s16 q4, q2, q3\n",
            "vadd.i32 q0, q0, q4\n",
            "vmullt.s16 q5, q2, q3\n",
            "vadd.i32 q1, q1, q5\n",
        )
    };
}

/// Tiles of one pixel and eight channels.
///
/// # Safety
/// At each tap, x and w have the channels of all tiles; `bias` and `requant` point to those of all tiles, y to
/// room for them. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn depthwise(task: &mut Depthwise) {
    naked_asm!(
        architecture!(),
        "push {{r2, r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov r2, r0",
        "ldrd r3, r4, [r2, #8]",
        "ldrd r5, r10, [r2, #16]",
        "ldrd r7, r8, [r2, #24]",
        "ldr r9, [r2, #32]",
        "ldr r12, [r2, #48]",
        "ldr r6, [r2, #44]",
        "2:",
        "ldrd r0, r1, [r2]",
        "vld20.32 {{q0, q1}}, [r9]",
        "vld21.32 {{q0, q1}}, [r9]!",
        "mov r11, r10",
        "cmp r3, #3",
        "bne 6f",
        "cmp r12, #0",
        "bne 6f",
        // Rows of three taps, with no offset.
        "5:",
        tap!(""),
        tap!(""),
        tap!(""),
        "add r0, r0, r7",
        "add r1, r1, r8",
        "subs r11, r11, #1",
        "bne 5b",
        "b 8f",
        "6:",
        "dls lr, r3",
        "7:",
        tap!("vadd.i16 q2, q2, r12\n"),
        "le lr, 7b",
        "add r0, r0, r7",
        "add r1, r1, r8",
        "subs r11, r11, #1",
        "bne 6b",
        "8:",
        "ldrd r0, r1, [r2, #36]",
        // Mantissas and shifts of even channels, then of odd ones.
        "vld40.32 {{q4, q5, q6, q7}}, [r0]",
        "vld41.32 {{q4, q5, q6, q7}}, [r0]",
        "vld42.32 {{q4, q5, q6, q7}}, [r0]",
        "vld43.32 {{q4, q5, q6, q7}}, [r0]",
        "add r0, r0, r1",
        "str r0, [r2, #36]",
        requantize!("q0", "q4", "q5", "q2"),
        requantize!("q1", "q6", "q7", "q3"),
        "vqmovnb.s32 q0, q0",
        "vqmovnt.s32 q0, q1",
        "ldrd r0, r1, [r2, #60]",
        "vdup.16 q2, r0",
        "vdup.16 q3, r1",
        "ldr r0, [r2, #56]",
        "vqadd.s16 q0, q0, r0",
        "vmax.s16 q0, q0, q2",
        "vmin.s16 q0, q0, q3",
        "vstrb.16 q0, [r6], #8",
        "ldrd r0, r1, [r2]",
        "adds r0, r0, #8",
        "adds r1, r1, #8",
        "strd r0, r1, [r2]",
        "ldr r0, [r2, #52]",
        "subs r0, r0, #1",
        "str r0, [r2, #52]",
        "bne 2b",
        "vpop {{d8-d15}}",
        "pop {{r2, r4-r11, pc}}",
    )
}
