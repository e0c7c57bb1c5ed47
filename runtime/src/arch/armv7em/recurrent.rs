//! Rows of weights, and states of filters: what LSTMs and SVDFs take.

use super::widen::widen_row;
use crate::arch::{Quad, ROW_TILE, Scratch, scratch};
use core::arch::naked_asm;

/// Four elements of x and of four rows.
macro_rules! quad {
    () => {
        concat!(
            "ldr r12, [r1], #4\n",
            "sxtb16 lr, r12, ror #8\n",
            "sxtb16 r12, r12\n",
            "ldr r3, [r8], #4\n",
            "sxtb16 r2, r3\n",
            "sxtb16 r3, r3, ror #8\n",
            "smlad r4, r12, r2, r4\n",
            "smlad r4, lr, r3, r4\n",
            "ldr r3, [r9], #4\n",
            "sxtb16 r2, r3\n",
            "sxtb16 r3, r3, ror #8\n",
            "smlad r5, r12, r2, r5\n",
            "smlad r5, lr, r3, r5\n",
            "ldr r3, [r10], #4\n",
            "sxtb16 r2, r3\n",
            "sxtb16 r3, r3, ror #8\n",
            "smlad r6, r12, r2, r6\n",
            "smlad r6, lr, r3, r6\n",
            "ldr r3, [r11], #4\n",
            "sxtb16 r2, r3\n",
            "sxtb16 r3, r3, ror #8\n",
            "smlad r7, r12, r2, r7\n",
            "smlad r7, lr, r3, r7\n",
        )
    };
}

/// An [`AddProducts`](crate::arch::recurrent::AddProducts).
///
/// # Safety
/// As there.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn add_products(
    sums: *mut [i32; ROW_TILE],
    bias: *const i32,
    x: *const i8,
    w: *const i8,
    len: usize,
    tiles: usize,
) {
    naked_asm!(
        dsp!(),
        "push {{r0-r11, lr}}",
        "2:",
        "ldr r0, [sp, #4]",
        "ldm r0!, {{r4-r7}}",
        "str r0, [sp, #4]",
        "ldrd r1, r8, [sp, #8]",
        "ldr r3, [sp, #52]",
        "add r9, r8, r3",
        "add r10, r9, r3",
        "add r11, r10, r3",
        "bics r0, r3, #3",
        "beq 5f",
        "tst r3, #4",
        "add.w r0, r0, r1",
        "bne 4f",
        "3:",
        quad!(),
        "4:",
        quad!(),
        "cmp r1, r0",
        "bne 3b",
        "5:",
        "ldr r3, [sp, #52]",
        "ands r3, r3, #3",
        "beq 7f",
        "6:",
        "ldrsb r12, [r1], #1",
        "ldrsb r2, [r8], #1",
        "mla r4, r2, r12, r4",
        "ldrsb r2, [r9], #1",
        "mla r5, r2, r12, r5",
        "ldrsb r2, [r10], #1",
        "mla r6, r2, r12, r6",
        "ldrsb r2, [r11], #1",
        "mla r7, r2, r12, r7",
        "subs r3, r3, #1",
        "bne 6b",
        "7:",
        "ldr r0, [sp]",
        "stm r0!, {{r4-r7}}",
        "str r0, [sp]",
        "str r11, [sp, #12]",
        "ldr r1, [sp, #56]",
        "subs r1, r1, #1",
        "str r1, [sp, #56]",
        "bne 2b",
        "add sp, sp, #16",
        "pop {{r4-r11, pc}}",
    )
}

/// Moments at once.
const MOMENTS: usize = 4;

/// Room for x of that many moments, of up to 320 elements.
type Room = scratch::Memory<{ MOMENTS * 320 / 4 }, 1>;

/// See [`Arch::sums_of_moments_i8`](crate::arch::Arch::sums_of_moments_i8): of four moments the sums of the first rows,
/// how many.
pub(super) fn four_moments(
    sums: &mut [i32],
    bias: &[i32],
    x: &[i8],
    [len, x_step]: [usize; 2],
    w: &[i8],
) -> Option<usize> {
    // A group past the end of a row takes weights of the next one, with elements of x that are zero.
    let groups = len.div_ceil(4);
    let rows = bias.len().min(w.len().checked_sub(4 * groups)?.checked_div(len)? + 1);
    if rows == 0 || sums.len() != MOMENTS * bias.len() {
        return None;
    }
    let mut room = Room::new();
    let quads = room.quads(MOMENTS * groups);
    for moment in 0..MOMENTS {
        widen_row(x.get(moment * x_step..)?.get(..len)?, quads.get(moment..)?, MOMENTS)?;
    }
    let sums_step = size_of_val(bias);
    let (x, w, bias, sums) = (quads.as_ptr(), w.as_ptr(), bias.as_ptr(), sums.as_mut_ptr());
    // SAFETY: all groups were just widened; there are so many rows of weights, with a group past the last of them, and as
    // many numbers of bias, and of sums of each moment. No count is 0.
    unsafe { of_four_moments(&mut Moments { x, w, len, groups, bias, sums, sums_step, rows }) };
    Some(rows)
}

/// The state of a loop over rows. Sums of a moment are `sums_step` bytes after those of the one before.
#[repr(C)]
struct Moments {
    x: *const Quad,
    w: *const i8,
    len: usize,
    groups: usize,
    bias: *const i32,
    sums: *mut i32,
    sums_step: usize,
    rows: usize,
}

/// Four elements of four moments and a row.
macro_rules! group_of_moments {
    () => {
        "ldr r8, [r3], #4
        sxtb16 r9, r8
        sxtb16 r8, r8, ror #8
        ldm r2!, {{r10, r11, r12, lr}}
        smlad r4, r10, r9, r4
        smlad r4, r11, r8, r4
        smlad r5, r12, r9, r5
        smlad r5, lr, r8, r5
        ldm r2!, {{r10, r11, r12, lr}}
        smlad r6, r10, r9, r6
        smlad r6, r11, r8, r6
        smlad r7, r12, r9, r7
        smlad r7, lr, r8, r7
        "
    };
}

/// Rows of four moments.
///
/// # Safety
/// x points to the quads of all groups, four moments in turns, w to all rows, the last one filled up to whole groups,
/// `bias` to a number for each, `sums` to room for four. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn of_four_moments(task: &mut Moments) {
    naked_asm!(
        dsp!(),
        "push {{r0, r4-r11, lr}}",
        "2:",
        "ldr r12, [r0, #16]",
        "ldr r4, [r12], #4",
        "str r12, [r0, #16]",
        "mov r5, r4",
        "mov r6, r4",
        "mov r7, r4",
        "ldrd r3, r12, [r0, #4]",
        "add r12, r3, r12",
        "str r12, [r0, #4]",
        "ldr r1, [r0, #12]",
        "ldr r2, [r0]",
        "subs r1, r1, #4",
        "blt 4f",
        "3:",
        group_of_moments!(),
        group_of_moments!(),
        group_of_moments!(),
        group_of_moments!(),
        "subs r1, r1, #4",
        "bge 3b",
        "4:",
        "adds r1, r1, #4",
        "beq 6f",
        "5:",
        group_of_moments!(),
        "subs r1, r1, #1",
        "bne 5b",
        "6:",
        "ldr r0, [sp]",
        "ldrd r1, r2, [r0, #20]",
        "add r3, r1, r2",
        "str r5, [r1, r2]",
        "str r6, [r3, r2]",
        "str r7, [r3, r2, lsl #1]",
        "str r4, [r1], #4",
        "str r1, [r0, #20]",
        "ldr r1, [r0, #28]",
        "subs r1, r1, #1",
        "str r1, [r0, #28]",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// A [`MoveOn`](crate::arch::recurrent::MoveOn).
///
/// # Safety
/// As there.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn move_on(
    sums: *mut i32,
    new: *const i16,
    state: *mut i16,
    w: *const i16,
    kept: usize,
    rank: usize,
    units: usize,
) {
    naked_asm!(
        dsp!(),
        "push {{r4-r10, lr}}",
        "ldr r4, [sp, #32]",
        "ldr r10, [sp, #40]",
        "1:",
        "ldr r6, [r0]",
        "ldr r5, [sp, #36]",
        "2:",
        "lsrs r7, r4, #1",
        "beq 4f",
        "3:",
        "ldr r8, [r2, #2]",
        "ldr r9, [r3], #4",
        "str r8, [r2], #4",
        "smlad r6, r8, r9, r6",
        "subs r7, r7, #1",
        "bne 3b",
        "4:",
        "lsls r7, r4, #31",
        "beq 5f",
        "ldrsh r8, [r2, #2]",
        "ldrsh r9, [r3], #2",
        "strh r8, [r2], #2",
        "mla r6, r8, r9, r6",
        "5:",
        "ldrsh r8, [r1], #2",
        "ldrsh r9, [r3], #2",
        "strh r8, [r2], #2",
        "mla r6, r8, r9, r6",
        "subs r5, r5, #1",
        "bne 2b",
        "str r6, [r0], #4",
        "subs r10, r10, #1",
        "bne 1b",
        "pop {{r4-r10, pc}}",
    )
}
