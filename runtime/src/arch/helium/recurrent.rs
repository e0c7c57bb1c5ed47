//! Rows of weights, and states of filters: what LSTMs and SVDFs take.

use super::Helium;
use crate::arch::{Arch, ROW_TILE};
use crate::gemm::rows_from;
use core::arch::naked_asm;

/// See [`Arch::row_sums_i8`].
pub(super) fn row_sums(sums: &mut [i32], x: &[i8], w: &[i8]) -> Option<()> {
    let w = w.get(..sums.len().checked_mul(x.len())?)?;
    let (tiles, rest) = sums.as_chunks_mut::<ROW_TILE>();
    if !tiles.is_empty() {
        // SAFETY: there is a tile, x has as many elements as it is said to, and w a row of them for each sum.
        unsafe { add_products(tiles.as_mut_ptr(), x.as_ptr(), w.as_ptr(), x.len(), tiles.len()) };
    }
    if !rest.is_empty() {
        let mut four = [0; ROW_TILE];
        four.iter_mut().zip(rest.iter()).for_each(|(four, sum)| *four = *sum);
        let w = w.get(tiles.len() * ROW_TILE * x.len()..)?;
        Helium::four_sums_i8(&mut four, x, &rows_from(w, x.len(), 0, rest.len())?, 0)?;
        rest.iter_mut().zip(four).for_each(|(sum, four)| *sum = four);
    }
    Some(())
}

/// See [`Arch::state_sums_i16`].
pub(super) fn state_sums(sums: &mut [i32], new: &[i16], state: &mut [i16], w: &[i16]) -> Option<()> {
    let memory = state.len().checked_div(new.len())?;
    let kept = memory.checked_sub(1)?;
    let needed = new.len().checked_mul(memory)?;
    if sums.len() != new.len() || w.len() < needed {
        return None;
    }
    // SAFETY: there is a filter, `new` and `sums` have an element for each, state and w `kept` and one more.
    unsafe { move_on(sums.as_mut_ptr(), new.as_ptr(), state.as_mut_ptr(), w.as_ptr(), kept, new.len()) };
    Some(())
}

/// Adds the products of x with rows of w to their sums.
///
/// # Safety
/// x points to `len` elements, w to as many for each of four sums of `tiles` tiles, of which there is one at least.
#[unsafe(naked)]
unsafe extern "C" fn add_products(
    sums: *mut [i32; ROW_TILE],
    x: *const i8,
    w: *const i8,
    len: usize,
    tiles: usize,
) {
    naked_asm!(
        architecture!(),
        "push {{r4-r11, lr}}",
        "mov r5, r2",
        "ldr r11, [sp, #36]",
        "2:",
        "ldm r0, {{r4, r6, r8, r10}}",
        "mov r2, r1",
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
        "sub r2, r2, r1",
        "sub r12, r12, r2",
        "add r5, r12, r3",
        "subs r11, r11, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// Moves states on, and sums up their products with w.
///
/// # Safety
/// There is a filter; `sums` and `new` point to an element for each, `state` and w to `kept` and one more for each.
#[unsafe(naked)]
unsafe extern "C" fn move_on(
    sums: *mut i32,
    new: *const i16,
    state: *mut i16,
    w: *const i16,
    kept: usize,
    filters: usize,
) {
    naked_asm!(
        architecture!(),
        "push {{r4-r10, lr}}",
        "ldrd r4, r5, [sp, #32]",
        "2:",
        "movs r6, #0",
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
        "str r6, [r0], #4",
        "mov r2, r8",
        "mov r3, r9",
        "subs r5, r5, #1",
        "bne 2b",
        "pop {{r4-r10, pc}}",
    )
}
