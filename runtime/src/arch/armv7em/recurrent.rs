//! Rows of weights, and states of filters: what LSTMs and SVDFs take.

use crate::arch::ROW_TILE;
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
