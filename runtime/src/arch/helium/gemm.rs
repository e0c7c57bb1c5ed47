//! Products of activations with rows of weights, in tiles of pixels and four outputs.

use super::requantize::{Ends, multipliers};
use crate::arch::RowsI8;
use core::arch::naked_asm;
use flatpack_format::ops::Multiplier;

/// Outputs of a tile.
pub(super) const TILE: usize = 4;

/// The state of a loop over tiles of outputs.
#[repr(C)]
struct Gemm {
    x: *const i8,
    w: *const i8,
    depth: usize,
    /// Whole chunks of 16 elements.
    chunks: usize,
    /// Elements past them.
    rest: usize,
    bias: *const i32,
    requant: *const Multiplier,
    /// Bytes from the multipliers of a tile to those of the next one.
    requant_step: usize,
    y0: *mut i8,
    y1: *mut i8,
    tiles: usize,
    ends: Ends,
}

/// The outputs of `P` pixels, whose patches begin at x: one after the other if there is one, else 16 elements of
/// each in turns. If outputs are left over, the last tile begins early enough to be a whole one. Gives how many
/// outputs were computed.
///
/// # Safety
/// x points to the elements of P patches, of two up to whole chunks of 16.
pub(super) unsafe fn tiles<const P: usize>(
    x: *const i8,
    rows: &RowsI8<'_>,
    y: &mut [&mut [i8]; P],
) -> Option<usize> {
    let &RowsI8 { w, depth, ref outputs, .. } = rows;
    let done = y.iter().map(|y| y.len()).min()?;
    let last = done.checked_sub(TILE)?;
    let w = w.get(..done.checked_mul(depth)?)?;
    let bias = outputs.bias.get(..done)?;
    let mut same = [Multiplier { mantissa: 0, shift: 0 }; TILE];
    let (requant, requant_step) = multipliers(outputs.requant, done, &mut same)?;
    if depth == 0 {
        return None;
    }
    let run = match P {
        2 => two_pixels,
        1 => one_pixel,
        _ => return None,
    };
    let tiles = done / TILE;
    let parts = [(0, tiles), (last, usize::from(!done.is_multiple_of(TILE)))];
    for (first, tiles) in parts.into_iter().filter(|(_, tiles)| *tiles > 0) {
        let mut all = y.iter_mut();
        let y0 = all.next()?.get_mut(first..)?.as_mut_ptr();
        let y1 = match all.next() {
            Some(y) => y.get_mut(first..)?.as_mut_ptr(),
            None => y0,
        };
        let mut task = Gemm {
            x,
            w: w.get(first * depth..)?.as_ptr(),
            depth,
            chunks: depth / 16,
            rest: depth % 16,
            bias: bias.get(first..)?.as_ptr(),
            requant: if requant_step == 0 { requant } else { requant.get(first..)? }.as_ptr(),
            requant_step,
            y0,
            y1,
            tiles,
            ends: Ends::of(outputs),
        };
        // SAFETY: x has P patches; w, `bias` and `requant` have what `tiles` tiles take from `first` on, which end
        // at `done` at most, and y has room for them.
        unsafe { run(&mut task) };
    }
    Some(done)
}

/// Sixteen elements, or the rest of a row, of two pixels and four outputs: `$mul` is `vmladav` for the first, which
/// sums begin with, else `vmladava`.
macro_rules! chunk {
    ($mul:literal, $load_two:literal, $v0:literal, $v1:literal) => {
        concat!(
            "vldrw.u32 q0, [r1], #16\n",
            $load_two,
            $v0,
            " q2, [r3], #16\n",
            $v1,
            " q3, [r5], #16\n",
            $mul,
            ".s8 r0, q0, q2\n",
            "vldrw.u32 q1, [r1], #16\n",
            $mul,
            ".s8 r2, q0, q3\n",
            $mul,
            ".s8 r8, q1, q2\n",
            $mul,
            ".s8 r10, q1, q3\n",
            $load_two,
            $v0,
            " q2, [r7], #16\n",
            $v1,
            " q3, [r9], #16\n",
            $mul,
            ".s8 r4, q0, q2\n",
            $mul,
            ".s8 r12, q1, q2\n",
            $mul,
            ".s8 r6, q0, q3\n",
            $mul,
            ".s8 lr, q1, q3\n",
        )
    };
}

/// Tiles of two pixels and four outputs.
///
/// # Safety
/// x points to the chunks of both patches in turns; w to the rows of all tiles, `bias` and `requant` to those of all
/// tiles, y0 and y1 to room for them. There is a tile; the depth is not 0.
#[unsafe(naked)]
unsafe extern "C" fn two_pixels(task: &mut Gemm) {
    naked_asm!(
        architecture!(),
        "push {{r0, r4-r11, lr}}",
        "vpush {{d8-d11}}",
        "ldrd r1, r2, [r0, #48]",
        "vdup.32 q4, r1",
        "vdup.32 q5, r2",
        "2:",
        // The row of output 0 is in r0's w.
        "ldrd r1, r3, [r0]",
        "ldrd r2, r11, [r0, #8]",
        "add r5, r3, r2",
        "add r7, r5, r2",
        "add r9, r7, r2",
        "add r2, r9, r2",
        "str r2, [r0, #4]",
        "subs r11, r11, #1",
        "blt 5f",
        chunk!("vmladav", "", "vldrb.u8", "vldrb.u8"),
        "beq 4f",
        "3:",
        chunk!("vmladava", "", "vldrb.u8", "vldrb.u8"),
        "subs r11, r11, #1",
        "bne 3b",
        "4:",
        "ldr r11, [sp, #32]",
        "ldr r11, [r11, #16]",
        "cmp r11, #0",
        "beq 6f",
        "vctp.8 r11",
        chunk!("vmladava", "vpstt\n", "vldrbt.u8", "vldrbt.u8"),
        "b 6f",
        "5:",
        "ldr r11, [r0, #16]",
        "vctp.8 r11",
        chunk!("vmladav", "vpstt\n", "vldrbt.u8", "vldrbt.u8"),
        "6:",
        "vmov q0[2], q0[0], r0, r4",
        "vmov q0[3], q0[1], r2, r6",
        "vmov q1[2], q1[0], r8, r12",
        "vmov q1[3], q1[1], r10, lr",
        "ldr r0, [sp, #32]",
        "ldrd r1, r2, [r0, #20]",
        "vldrw.u32 q2, [r1], #16",
        "vadd.i32 q0, q0, q2",
        "vadd.i32 q1, q1, q2",
        "vld20.32 {{q2, q3}}, [r2]",
        "vld21.32 {{q2, q3}}, [r2]",
        "ldr r3, [r0, #28]",
        "add r2, r2, r3",
        "strd r1, r2, [r0, #20]",
        "vqrdmulh.s32 q0, q0, q2",
        "vqrdmulh.s32 q1, q1, q2",
        "vshr.s32 q2, q0, #31",
        "vqadd.s32 q0, q0, q2",
        "vshr.s32 q2, q1, #31",
        "vqadd.s32 q1, q1, q2",
        "vrshl.s32 q0, q0, q3",
        "vrshl.s32 q1, q1, q3",
        "ldr r3, [r0, #44]",
        "vadd.i32 q0, q0, r3",
        "vadd.i32 q1, q1, r3",
        "vmax.s32 q0, q0, q4",
        "vmax.s32 q1, q1, q4",
        "vmin.s32 q0, q0, q5",
        "vmin.s32 q1, q1, q5",
        "ldrd r4, r5, [r0, #32]",
        "vstrb.32 q0, [r4], #4",
        "vstrb.32 q1, [r5], #4",
        "strd r4, r5, [r0, #32]",
        "ldr r6, [r0, #40]",
        "subs r6, r6, #1",
        "str r6, [r0, #40]",
        "bne 2b",
        "vpop {{d8-d11}}",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Tiles of one pixel and four outputs.
///
/// # Safety
/// As [`two_pixels`], with x pointing to one patch, of `depth` elements, and y0 alone.
#[unsafe(naked)]
unsafe extern "C" fn one_pixel(task: &mut Gemm) {
    naked_asm!(
        architecture!(),
        "push {{r0, r4-r11, lr}}",
        "vpush {{d8-d11}}",
        "ldrd r1, r2, [r0, #48]",
        "vdup.32 q4, r1",
        "vdup.32 q5, r2",
        "mov r11, r0",
        "ldr r12, [r11, #4]",
        "2:",
        "ldr r1, [r11]",
        "ldr r10, [r11, #8]",
        "mov r3, r12",
        "add r5, r3, r10",
        "add r7, r5, r10",
        "add r9, r7, r10",
        "add r12, r9, r10",
        "ldr r8, [r11, #20]",
        "ldm r8!, {{r0, r2, r4, r6}}",
        "str r8, [r11, #20]",
        "dlstp.8 lr, r10",
        "3:",
        "vldrb.u8 q0, [r1], #16",
        "vldrb.u8 q1, [r3], #16",
        "vmladava.s8 r0, q0, q1",
        "vldrb.u8 q2, [r5], #16",
        "vmladava.s8 r2, q0, q2",
        "vldrb.u8 q3, [r7], #16",
        "vmladava.s8 r4, q0, q3",
        "vldrb.u8 q1, [r9], #16",
        "vmladava.s8 r6, q0, q1",
        "letp lr, 3b",
        "vmov q0[2], q0[0], r0, r4",
        "vmov q0[3], q0[1], r2, r6",
        "ldrd r2, r3, [r11, #24]",
        "vld20.32 {{q2, q3}}, [r2]",
        "vld21.32 {{q2, q3}}, [r2]",
        "add r2, r2, r3",
        "str r2, [r11, #24]",
        requantize!("q0", "q2", "q3", "q1"),
        "ldr r3, [r11, #44]",
        "vadd.i32 q0, q0, r3",
        "vmax.s32 q0, q0, q4",
        "vmin.s32 q0, q0, q5",
        "ldr r4, [r11, #32]",
        "vstrb.32 q0, [r4], #4",
        "str r4, [r11, #32]",
        "ldr r6, [r11, #40]",
        "subs r6, r6, #1",
        "str r6, [r11, #40]",
        "bne 2b",
        "vpop {{d8-d11}}",
        "pop {{r0, r4-r11, pc}}",
    )
}
