//! Products of widened activations with rows of weights, in tiles of pixels and outputs.

use super::requantize::Ends;
use super::widen::SHORT;
use crate::arch::{Quad, RowsI8};
use core::arch::naked_asm;
use flatpack_format::ops::Multiplier;

/// The state of a loop over tiles of outputs.
#[repr(C)]
struct Gemm {
    x: *const Quad,
    w: *const i8,
    depth: usize,
    groups: usize,
    bias: *const i32,
    requant: *const Multiplier,
    /// Bytes from the multipliers of a tile to those of the next one.
    requant_step: usize,
    y0: *mut i8,
    y1: *mut i8,
    tiles: usize,
    ends: Ends,
}

/// The outputs of `P` pixels whose widened patches `widened` makes: how many.
pub(super) fn tiles<const P: usize>(
    rows: &RowsI8<'_>,
    y: &mut [&mut [i8]; P],
    widened: impl FnOnce(&[Quad]) -> Option<()>,
) -> Option<usize> {
    let &RowsI8 { w, depth, ref outputs, quads, .. } = rows;
    let groups = depth.div_ceil(4);
    let x = quads.get(..groups.checked_mul(P)?)?;
    let len = y.iter().map(|y| y.len()).min()?;
    // A group past the end of a row takes weights of the next one, with activations that are zero.
    let rows = if depth % 4 == 0 { len } else { len.checked_sub(1)? };
    let tile = if P == 2 { 2 } else { 4 };
    let tiles = rows / tile;
    if groups == 0 || len < tile || !outputs.plain {
        return None;
    }
    widened(x)?;
    let of_all;
    let (requant, requant_step) = match outputs.requant {
        [one] => {
            of_all = [*one; 4];
            (of_all.as_slice(), 0)
        }
        all => (all, tile * size_of::<Multiplier>()),
    };
    // The last tile of short rows is copied to where there is something after its end.
    let copied = usize::from(depth % 4 != 0 && depth <= SHORT && len == tiles * tile + tile);
    let done = (tiles + copied) * tile;
    let last = w.get(tiles * tile * depth..)?;
    if tiles > 0 {
        w.get(..(tiles * tile - 1) * depth + 4 * groups)?;
    }
    outputs.bias.get(..done)?;
    requant.get(..if requant_step == 0 { tile } else { done })?;
    let mut all = y.iter_mut();
    let y0 = all.next()?.get_mut(..done)?.as_mut_ptr();
    let y1 = match all.next() {
        Some(y) => y.get_mut(..done)?.as_mut_ptr(),
        None => y0,
    };
    let mut task = Gemm {
        x: x.as_ptr(),
        w: w.as_ptr(),
        depth,
        groups,
        bias: outputs.bias.as_ptr(),
        requant: requant.as_ptr(),
        requant_step,
        y0,
        y1,
        tiles,
        ends: Ends::of(outputs),
    };
    let run = match P {
        2 => two_pixels,
        1 => one_pixel,
        _ => return None,
    };
    if tiles > 0 {
        // SAFETY: x has the groups of P pixels; `w`, `bias` and `requant` were seen to have what these
        // tiles take, and y has room for them.
        unsafe { run(&mut task) };
    }
    if copied == 1 {
        last_tile(&mut task, run, last.get(..tile * depth)?);
    }
    Some(done)
}

/// Runs the last tile of short rows.
#[inline(never)]
fn last_tile(task: &mut Gemm, run: unsafe extern "C" fn(&mut Gemm), w: &[i8]) {
    let mut rows = [0; 4 * SHORT + 4];
    rows.iter_mut().zip(w).for_each(|(to, w)| *to = *w);
    (task.w, task.tiles) = (rows.as_ptr(), 1);
    // SAFETY: as for the tiles before, which were seen to have room for one more; `rows` has the rows of a
    // tile, of at most `SHORT` elements, and three elements more.
    unsafe { run(task) };
}

/// Four elements of two pixels and two outputs.
macro_rules! group_of_two {
    () => {
        "ldm r0!, {{r8-r11}}
        ldr r12, [r1], #4
        sxtb16 lr, r12
        smlad r4, r8, lr, r4
        smlad r6, r10, lr, r6
        sxtb16 r12, r12, ror #8
        smlad r4, r9, r12, r4
        smlad r6, r11, r12, r6
        ldr r12, [r2], #4
        sxtb16 lr, r12
        smlad r5, r8, lr, r5
        smlad r7, r10, lr, r7
        sxtb16 r12, r12, ror #8
        smlad r5, r9, r12, r5
        smlad r7, r11, r12, r7
        "
    };
}

/// Tiles of two pixels and two outputs.
///
/// # Safety
/// x points to the quads of all groups of both pixels, w to the rows of all tiles, the last one filled up to
/// whole groups, `bias` and `requant` to those of all tiles, y0 and y1 to room for them. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn two_pixels(task: &mut Gemm) {
    naked_asm!(
        dsp!(),
        "push {{r0, r4-r11, lr}}",
        "2:",
        "ldr r12, [r0, #16]",
        "ldrd r4, r5, [r12], #8",
        "str r12, [r0, #16]",
        "mov r6, r4",
        "mov r7, r5",
        "ldrd r1, r2, [r0, #4]",
        "ldr r3, [r0, #12]",
        "add r12, r1, r2, lsl #1",
        "str r12, [r0, #4]",
        "add r2, r1, r2",
        "ldr r0, [r0]",
        "subs r3, r3, #4",
        "blt 4f",
        "3:",
        group_of_two!(),
        group_of_two!(),
        group_of_two!(),
        group_of_two!(),
        "subs r3, r3, #4",
        "bge 3b",
        "4:",
        "adds r3, r3, #4",
        "beq 5f",
        "7:",
        group_of_two!(),
        "subs r3, r3, #1",
        "bne 7b",
        "5:",
        "ldr r0, [sp]",
        "ldrd r12, lr, [r0, #20]",
        "ldm r12, {{r8-r11}}",
        "add r12, r12, lr",
        "str r12, [r0, #20]",
        "ldr r12, [r0, #40]",
        make_ready!("r8", "r9", "r1", "r12"),
        make_ready!("r10", "r11", "r2", "r12"),
        requantize!("r4", "r8", "r9", "r1", "r3"),
        requantize!("r5", "r10", "r11", "r2", "r3"),
        requantize!("r6", "r8", "r9", "r1", "r3"),
        requantize!("r7", "r10", "r11", "r2", "r3"),
        "ldrd r8, r9, [r0, #44]",
        bound_four!(),
        "ldrd r10, r11, [r0, #28]",
        "strb r4, [r10], #1",
        "strb r5, [r10], #1",
        "strb r6, [r11], #1",
        "strb r7, [r11], #1",
        "strd r10, r11, [r0, #28]",
        "ldr r1, [r0, #36]",
        "subs r1, r1, #1",
        "str r1, [r0, #36]",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Four elements of one pixel and an output.
macro_rules! group_of_one {
    ($row:literal, $sum:literal) => {
        concat!(
            "ldr r12, [",
            $row,
            "], #4\n",
            "sxtb16 r3, r12\n",
            "smlad ",
            $sum,
            ", r10, r3, ",
            $sum,
            "\n",
            "sxtb16 r12, r12, ror #8\n",
            "smlad ",
            $sum,
            ", r11, r12, ",
            $sum,
            "\n",
        )
    };
}

/// Four elements of one pixel and four outputs.
macro_rules! group_of_four {
    () => {
        concat!(
            "ldm r0!, {{r10, r11}}\n",
            group_of_one!("r1", "r4"),
            group_of_one!("r2", "r5"),
            group_of_one!("r8", "r6"),
            group_of_one!("r9", "r7"),
        )
    };
}

/// Tiles of one pixel and four outputs.
///
/// # Safety
/// As [`two_pixels`], with the quads of one pixel, and y0 alone.
#[unsafe(naked)]
unsafe extern "C" fn one_pixel(task: &mut Gemm) {
    naked_asm!(
        dsp!(),
        "push {{r0, r4-r11, lr}}",
        "2:",
        "ldr r12, [r0, #16]",
        "ldm r12!, {{r4-r7}}",
        "str r12, [r0, #16]",
        "ldrd r1, r3, [r0, #4]",
        "ldr lr, [r0, #12]",
        "add r2, r1, r3",
        "add r8, r2, r3",
        "add r9, r8, r3",
        "add r12, r9, r3",
        "str r12, [r0, #4]",
        "ldr r0, [r0]",
        "subs lr, lr, #2",
        "blt 4f",
        "3:",
        group_of_four!(),
        group_of_four!(),
        "subs lr, lr, #2",
        "bge 3b",
        "4:",
        "adds lr, lr, #2",
        "beq 5f",
        group_of_four!(),
        "5:",
        "ldr r0, [sp]",
        "ldrd r12, lr, [r0, #20]",
        "ldr r3, [r0, #40]",
        requantize_four!(),
        "add r12, r12, lr",
        "str r12, [r0, #20]",
        "ldrd r8, r9, [r0, #44]",
        bound_four!(),
        join_four!(),
        "ldr r10, [r0, #28]",
        "str r4, [r10], #4",
        "str r10, [r0, #28]",
        "ldr r1, [r0, #36]",
        "subs r1, r1, #1",
        "str r1, [r0, #36]",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
    )
}
