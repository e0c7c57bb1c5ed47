//! Rows of weights, and states of filters: what LSTMs and SVDFs take.

use crate::arch::ROW_TILE;
use core::arch::naked_asm;

/// See [`Arch::one_sum_i8`](crate::arch::Arch::one_sum_i8).
pub(super) fn one_sum(sum: i32, x: &[i8], w: &[i8]) -> i32 {
    // SAFETY: both have so many elements.
    unsafe { add_row(sum, x.as_ptr(), w.as_ptr(), x.len().min(w.len())) }
}

/// # Safety
/// x and w point to `len` elements.
#[unsafe(naked)]
unsafe extern "C" fn add_row(sum: i32, x: *const i8, w: *const i8, len: usize) -> i32 {
    naked_asm!(
        architecture!(),
        "push {{r7, lr}}",
        "wlstp.8 lr, r3, 3f",
        "2:",
        "vldrb.u8 q0, [r1], #16",
        "vldrb.u8 q1, [r2], #16",
        "vmladava.s8 r0, q0, q1",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
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
        architecture!(),
        "push {{r4-r11, lr}}",
        "mov r11, r2",
        "mov r5, r3",
        "ldr r3, [sp, #36]",
        "2:",
        "ldm r1!, {{r4, r6, r8, r10}}",
        "mov r2, r11",
        "add r7, r5, r3",
        "add r9, r7, r3",
        "add r12, r9, r3",
        "wlstp.8 lr, r3, 4f",
        "3:",
        "vldrb.u8 q0, [r2], #16",
        "vldrb.u8 q1, [r5], #16",
        "vmladava.s8 r4, q0, q1",
        "vldrb.u8 q2, [r7], #16",
        "vmladava.s8 r6, q0, q2",
        "vldrb.u8 q3, [r9], #16",
        "vmladava.s8 r8, q0, q3",
        "vldrb.u8 q1, [r12], #16",
        "vmladava.s8 r10, q0, q1",
        "letp lr, 3b",
        "4:",
        "stm r0!, {{r4, r6, r8, r10}}",
        "sub r2, r2, r11",
        "sub r12, r12, r2",
        "add r5, r12, r3",
        "ldr r2, [sp, #40]",
        "subs r2, r2, #1",
        "str r2, [sp, #40]",
        "bne 2b",
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
        architecture!(),
        "push {{r4-r11, lr}}",
        "ldr r4, [sp, #36]",
        "ldr r11, [sp, #44]",
        "1:",
        "ldr r6, [r0]",
        "ldr r5, [sp, #40]",
        "2:",
        "add r7, r2, #2",
        "add r8, r2, r4, lsl #1",
        "add r9, r3, r4, lsl #1",
        "wlstp.16 lr, r4, 4f",
        "3:",
        "vldrh.u16 q0, [r7], #16",
        "vldrh.u16 q1, [r3], #16",
        "vstrh.16 q0, [r2], #16",
        "vmladava.s16 r6, q0, q1",
        "letp lr, 3b",
        "4:",
        "ldrsh r10, [r1], #2",
        "ldrsh r12, [r9], #2",
        "mla r6, r10, r12, r6",
        "strh r10, [r8], #2",
        "mov r2, r8",
        "mov r3, r9",
        "subs r5, r5, #1",
        "bne 2b",
        "str r6, [r0], #4",
        "subs r11, r11, #1",
        "bne 1b",
        "pop {{r4-r11, pc}}",
    )
}
