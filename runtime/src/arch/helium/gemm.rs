//! Products of activations with rows of weights, in tiles of pixels and four outputs.

use super::requantize::{Ends, multipliers};
use crate::arch::OutputsI8;
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

/// Rows of weights and what becomes of their sums, seen to fit together. If outputs are left over, the last tile
/// begins early enough to be a whole one.
pub(super) struct Products<'a> {
    w: &'a [i8],
    depth: usize,
    bias: &'a [i32],
    requant: &'a [Multiplier],
    requant_step: usize,
    outputs: usize,
    ends: Ends,
}

impl<'a> Products<'a> {
    /// Of `outputs` outputs. `same` is room for the multipliers of a tile.
    pub(super) fn of(
        w: &'a [i8],
        depth: usize,
        ends: &OutputsI8<'a>,
        outputs: usize,
        same: &'a mut [Multiplier; TILE],
    ) -> Option<Self> {
        if depth == 0 || outputs < TILE || !ends.plain {
            return None;
        }
        let (requant, requant_step) = multipliers(ends.requant, outputs, same)?;
        let w = w.get(..outputs.checked_mul(depth)?)?;
        let bias = ends.bias.get(..outputs)?;
        Some(Self { w, depth, bias, requant, requant_step, outputs, ends: Ends::of(ends) })
    }

    /// The outputs of `P` pixels, whose patches begin at x: 16 elements of each in turns if there are two.
    ///
    /// # Safety
    /// x points to the elements of P patches, of two up to whole chunks of 16, and then at an alignment of 4.
    #[inline(always)]
    pub(super) unsafe fn run<const P: usize>(&self, x: *const i8, y: &mut [&mut [i8]; P]) -> Option<()> {
        if y.iter().any(|y| y.len() != self.outputs) {
            return None;
        }
        let [y0, y1] = match y.as_mut_slice() {
            [y0, y1] => [y0.as_mut_ptr(), y1.as_mut_ptr()],
            [y0] => [y0.as_mut_ptr(); 2],
            _ => return None,
        };
        // SAFETY: x is as promised, and y has room for all outputs.
        unsafe { self.part::<P>(x, [y0, y1], 0, self.outputs / TILE) };
        if !self.outputs.is_multiple_of(TILE) {
            // SAFETY: as above; the tile ends where the outputs do.
            unsafe { self.part::<P>(x, [y0, y1], self.outputs - TILE, 1) };
        }
        Some(())
    }

    /// Tiles from output `first` on.
    ///
    /// # Safety
    /// As [`run`](Self::run); y has room for all outputs, and so many tiles from `first` on are theirs.
    #[inline(always)]
    unsafe fn part<const P: usize>(&self, x: *const i8, [y0, y1]: [*mut i8; 2], first: usize, tiles: usize) {
        let mut task = Gemm {
            x,
            w: self.w.as_ptr().wrapping_add(first * self.depth),
            depth: self.depth,
            chunks: self.depth / 16,
            rest: self.depth % 16,
            bias: self.bias.as_ptr().wrapping_add(first),
            requant: self.requant.as_ptr().wrapping_add(if self.requant_step == 0 { 0 } else { first }),
            requant_step: self.requant_step,
            y0: y0.wrapping_add(first),
            y1: y1.wrapping_add(first),
            tiles,
            ends: self.ends,
        };
        let run = if P == 2 { two_pixels } else { one_pixel };
        // SAFETY: x has the patches; there are weights, a bias and multipliers for all outputs, and room for them.
        unsafe { run(&mut task) };
    }
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
