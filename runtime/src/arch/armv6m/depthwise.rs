//! Depthwise convolution, four channels of a pixel at a time.

use super::requantize::{Ends, Requant};
use crate::arch::{OutputsI8, Patch};
use core::arch::naked_asm;
use flatpack_format::ops::Multiplier;

/// Channels of a tile.
const TILE: usize = 4;

/// See [`Arch::depthwise_i8`](super::Arch::depthwise_i8), of one pixel: all channels, or `None`.
#[inline(never)]
pub(super) fn depthwise_i8(
    patch: &Patch<'_, 1, i8>,
    offset: i16,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    y: &mut [i8],
) -> Option<()> {
    let &Patch { x: [x], w_at, len, counts, x_steps, w_steps } = patch;
    let ([planes, rows, columns], [_, x_row, step], [_, w_row, w_step]) = (counts, x_steps, w_steps);
    let (w_row, w_step) = (usize::try_from(w_row).ok()?, usize::try_from(w_step).ok()?);
    // One step leads to the next tap of both.
    if planes != 1 || rows == 0 || columns == 0 || step != w_step || step == 0 {
        return None;
    }
    let past = |row: usize| {
        let (rows, columns) = (rows.checked_sub(1)?, columns.checked_sub(1)?);
        rows.checked_mul(row)?.checked_add(columns.checked_mul(step)?)?.checked_add(len)
    };
    let (x, w) = (x.get(..past(x_row)?)?, w.get(w_at..)?.get(..past(w_row)?)?);
    let (requant, bias) = (Requant::of(outputs, len)?, outputs.bias.get(..len)?);
    let (y, columns) = (y.get_mut(..len)?, columns.checked_mul(step)?);
    let last = len.checked_sub(TILE)?;
    let run = if offset == 0 { whole } else { moved };
    // The last tile begins early enough to be a whole one.
    for (first, tiles) in [(0, len / TILE), (last, usize::from(!len.is_multiple_of(TILE)))] {
        if tiles == 0 {
            continue;
        }
        let (requant, requant_step) = requant.from(first, TILE)?;
        let mut task = Depthwise {
            x: x.get(first..)?.as_ptr(),
            w: w.get(first..)?.as_ptr(),
            step,
            columns,
            x_row: x_row.wrapping_sub(columns),
            w_row: w_row.wrapping_sub(columns),
            rows,
            bias: bias.get(first..)?.as_ptr(),
            requant,
            requant_step,
            y: y.get_mut(first..)?.as_mut_ptr(),
            tiles,
            offset: offset.into(),
            left: 0,
            ends: Ends::of(outputs),
        };
        // SAFETY: from each tap on, x and w have the channels of these tiles, which bias, multipliers and y have, too.
        unsafe { run(&mut task) };
    }
    Some(())
}

/// The state of the loop over tiles.
#[repr(C)]
struct Depthwise {
    x: *const i8,
    w: *const i8,
    /// Bytes from a tap to the next one.
    step: usize,
    /// Bytes of all taps of a row.
    columns: usize,
    /// Bytes from the end of a row to the next one.
    x_row: usize,
    w_row: usize,
    rows: usize,
    bias: *const i32,
    requant: *const Multiplier,
    /// Bytes from the multipliers of a tile to those of the next one.
    requant_step: usize,
    y: *mut i8,
    tiles: usize,
    /// What is added to x.
    offset: i32,
    /// Rows that are left.
    left: usize,
    ends: Ends,
}

/// A channel of a tap, at `$at` from r4 and r5.
macro_rules! channel {
    ($at:literal, $move:literal, $sum:literal) => {
        concat!(
            "ldrsb r0, [r4, ",
            $at,
            "]\n",
            $move,
            "ldrsb r1, [r5, ",
            $at,
            "]\n",
            "muls r0, r1, r0\n",
            "add ",
            $sum,
            ", r0\n",
        )
    };
}

/// Four channels of a tap.
macro_rules! tap {
    ($move:literal) => {
        concat!(
            channel!("r7", $move, "r8"),
            channel!("r2", $move, "r9"),
            channel!("r3", $move, "r10"),
            channel!("r6", $move, "r11"),
            "add r4, r12\n",
            "add r5, r12\n",
        )
    };
}

/// The element of a channel whose sum is in `$sum`, and whose bias and place are at `$bias` and `$at`.
macro_rules! end {
    ($sum:literal, $bias:literal, $at:literal) => {
        concat!(
            "ldr r1, [r4, #28]\n",
            "ldr r1, [r1, #",
            $bias,
            "]\n",
            "mov r0, ",
            $sum,
            "\n",
            "adds r0, r0, r1\n",
            "ldm r3!, {{r5, r7}}\n",
            take_apart!(),
            requantize!("56", "r12", "lr"),
            "ldr r1, [r4, #40]\n",
            "strb r0, [r1, #",
            $at,
            "]\n",
        )
    };
}

/// A loop over tiles, with what moves r0 before it is multiplied, and what a row and a tap have beside that.
macro_rules! tiles {
    ($name:ident, $row:literal, $move:literal, $end_of_row:literal) => {
        /// # Safety
        /// At each tap, x and w have the channels of all tiles, and so have `bias`, `requant` and y. No count is 0.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(task: &mut Depthwise) {
            naked_asm!(
                enter!(),
                "sub sp, #4",
                "2:",
                "ldr r4, [r0]",
                "ldr r5, [r0, #4]",
                "ldr r1, [r0, #8]",
                "mov r12, r1",
                "ldr r1, [r0, #24]",
                "str r1, [r0, #52]",
                "movs r7, #0",
                "mov r8, r7",
                "mov r9, r7",
                "mov r10, r7",
                "mov r11, r7",
                "movs r2, #1",
                "movs r3, #2",
                "movs r6, #3",
                "3:",
                "ldr r0, [sp, #4]",
                $row,
                "4:",
                tap!($move),
                $end_of_row,
                "bne 4b",
                "ldr r0, [sp, #4]",
                "ldr r1, [r0, #16]",
                "adds r4, r4, r1",
                "ldr r1, [r0, #20]",
                "adds r5, r5, r1",
                "ldr r1, [r0, #52]",
                "subs r1, r1, #1",
                "str r1, [r0, #52]",
                "bne 3b",
                "mov r4, r0",
                "ldr r0, [r4, #60]",
                "mov r12, r0",
                "ldr r0, [r4, #64]",
                "mov lr, r0",
                "ldr r3, [r4, #32]",
                end!("r8", "0", "0"),
                end!("r9", "4", "1"),
                end!("r10", "8", "2"),
                end!("r11", "12", "3"),
                "ldr r3, [r4, #44]",
                "subs r3, r3, #1",
                "beq 5f",
                "str r3, [r4, #44]",
                "ldr r0, [r4]",
                "adds r0, r0, #4",
                "str r0, [r4]",
                "ldr r0, [r4, #4]",
                "adds r0, r0, #4",
                "str r0, [r4, #4]",
                "ldr r0, [r4, #28]",
                "adds r0, r0, #16",
                "str r0, [r4, #28]",
                "ldr r0, [r4, #32]",
                "ldr r1, [r4, #36]",
                "adds r0, r0, r1",
                "str r0, [r4, #32]",
                "ldr r0, [r4, #40]",
                "adds r0, r0, #4",
                "str r0, [r4, #40]",
                "mov r0, r4",
                "b 2b",
                "5:",
                "add sp, #4",
                leave!(),
            )
        }
    };
}

tiles!(
    whole,
    // The end of the row.
    "ldr r1, [r0, #12]
    adds r1, r1, r4
    mov lr, r1",
    "",
    "cmp r4, lr"
);

tiles!(
    moved,
    // The end of the row is on the stack, lr moves.
    "ldr r1, [r0, #48]
    mov lr, r1
    ldr r1, [r0, #12]
    adds r1, r1, r4
    str r1, [sp]",
    "add r0, lr\n",
    "ldr r0, [sp]
    cmp r4, r0"
);
