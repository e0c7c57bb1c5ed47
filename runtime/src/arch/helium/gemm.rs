//! Products of activations with rows of weights, in tiles of pixels and four outputs.

use super::requantize::{Ends, multipliers};
use crate::arch::{OutputsI8, ROW_TILE};
use core::arch::naked_asm;
use flatpack_format::ops::Multiplier;

/// Outputs of a tile.
pub(super) const TILE: usize = 4;

/// The state of a loop over tiles of outputs of pairs of pixels.
#[derive(Clone, Copy)]
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
    pairs: usize,
    of_all: OfAll,
    /// From a pair to the next one in x, and from past the outputs of all tiles in y.
    x_pair: usize,
    y_pair: usize,
}

/// What each pair of pixels begins with anew.
#[derive(Clone, Copy)]
#[repr(C)]
struct OfAll {
    w: *const i8,
    bias: *const i32,
    requant: *const Multiplier,
    tiles: usize,
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

    /// How many outputs a pixel has.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The outputs of pixels.
    ///
    /// # Safety
    /// x points to the patches of pairs of pixels at an alignment of 4, of which the last may lack the second: 16
    /// elements of each in turns, up to whole chunks.
    #[inline(always)]
    pub(super) unsafe fn run(&self, x: *const i8, pixels: usize, y: &mut [i8]) -> Option<()> {
        if pixels.checked_mul(self.outputs)? != y.len() {
            return None;
        }
        let (pairs, x_pair) = (pixels / 2, 2 * self.depth.next_multiple_of(16));
        let mut done = y.as_mut_ptr();
        // What a second pixel would have, which is not there, is written before what the first has.
        for (first, pairs, second) in [(0, pairs, self.outputs), (pairs, pixels % 2, 0)] {
            if pairs > 0 {
                let task = Gemm {
                    pairs,
                    x_pair,
                    ..self.task(x.wrapping_add(first * x_pair), [done, done.wrapping_add(second)])
                };
                // SAFETY: x has the patches; there are weights, a bias and multipliers for all outputs, and room.
                unsafe { self.parts(task, two_pixels) };
            }
            done = done.wrapping_add(2 * pairs * self.outputs);
        }
        Some(())
    }

    /// The outputs of two pixels.
    ///
    /// # Safety
    /// As [`run`](Self::run): x points to the patches of both.
    #[inline(always)]
    pub(super) unsafe fn two(&self, x: *const i8, y: [&mut [i8]; 2]) -> Option<()> {
        if y.iter().any(|y| y.len() != self.outputs) {
            return None;
        }
        // SAFETY: x has the patches; there are weights, a bias and multipliers for all outputs, and room for them.
        unsafe { self.parts(self.task(x, y.map(<[i8]>::as_mut_ptr)), two_pixels) };
        Some(())
    }

    /// The outputs of one pixel.
    ///
    /// # Safety
    /// x points to the elements of a patch.
    #[inline(always)]
    pub(super) unsafe fn one(&self, x: *const i8, y: &mut [i8]) -> Option<()> {
        if y.len() != self.outputs {
            return None;
        }
        // SAFETY: x has the patch; there are weights, a bias and multipliers for all outputs, and room for them.
        unsafe { self.parts(self.task(x, [y.as_mut_ptr(); 2]), one_pixel) };
        Some(())
    }

    /// What becomes of the pair of pixels at x.
    #[inline(always)]
    fn task(&self, x: *const i8, [y0, y1]: [*mut i8; 2]) -> Gemm {
        let (w, bias, requant, tiles) =
            (self.w.as_ptr(), self.bias.as_ptr(), self.requant.as_ptr(), self.outputs / TILE);
        Gemm {
            x,
            w,
            depth: self.depth,
            chunks: self.depth / 16,
            rest: self.depth % 16,
            bias,
            requant,
            requant_step: self.requant_step,
            y0,
            y1,
            tiles,
            ends: self.ends,
            pairs: 1,
            of_all: OfAll { w, bias, requant, tiles },
            x_pair: 0,
            y_pair: (2 * self.outputs).wrapping_sub(TILE * tiles),
        }
    }

    /// Runs all tiles of a task, and one more where outputs are left over.
    ///
    /// # Safety
    /// As for what is run.
    #[inline(always)]
    unsafe fn parts(&self, task: Gemm, run: unsafe extern "C" fn(&mut Gemm)) {
        let mut all = task;
        // SAFETY: as promised.
        unsafe { run(&mut all) };
        if self.outputs.is_multiple_of(TILE) {
            return;
        }
        let first = self.outputs - TILE;
        let w = task.w.wrapping_add(first * self.depth);
        let bias = task.bias.wrapping_add(first);
        let requant = task.requant.wrapping_add(if self.requant_step == 0 { 0 } else { first });
        let mut last = Gemm {
            w,
            bias,
            requant,
            y0: task.y0.wrapping_add(first),
            y1: task.y1.wrapping_add(first),
            tiles: 1,
            of_all: OfAll { w, bias, requant, tiles: 1 },
            y_pair: 2 * self.outputs - TILE,
            ..task
        };
        // SAFETY: as promised; this tile ends where the outputs do.
        unsafe { run(&mut last) };
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
        "7:",
        "ldrd r1, r2, [r0, #60]",
        "ldrd r3, r4, [r0, #68]",
        "str r1, [r0, #4]",
        "strd r2, r3, [r0, #20]",
        "str r4, [r0, #40]",
        "2:",
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
        "vstrb.32 q1, [r5], #4",
        "vstrb.32 q0, [r4], #4",
        "strd r4, r5, [r0, #32]",
        "ldr r6, [r0, #40]",
        "subs r6, r6, #1",
        "str r6, [r0, #40]",
        "bne 2b",
        "ldrd r1, r2, [r0, #76]",
        "add r4, r4, r2",
        "add r5, r5, r2",
        "strd r4, r5, [r0, #32]",
        "ldr r3, [r0]",
        "add r3, r3, r1",
        "str r3, [r0]",
        "ldr r3, [r0, #56]",
        "subs r3, r3, #1",
        "str r3, [r0, #56]",
        "bne 7b",
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

/// See [`Arch::four_sums_i8`](super::Arch::four_sums_i8).
pub(super) fn four_sums(sums: &mut [i32; ROW_TILE], x: &[i8], w: [&[i8]; ROW_TILE]) -> Option<()> {
    if w.iter().any(|w| w.len() < x.len()) {
        return None;
    }
    let w = w.map(<[i8]>::as_ptr);
    // SAFETY: x and each row have as many elements.
    unsafe { add_products(sums, x.as_ptr(), &w, x.len()) };
    Some(())
}

/// Adds the products of x with four rows to their sums.
///
/// # Safety
/// x and the rows of w point to `len` elements.
#[unsafe(naked)]
unsafe extern "C" fn add_products(
    sums: &mut [i32; ROW_TILE],
    x: *const i8,
    w: &[*const i8; ROW_TILE],
    len: usize,
) {
    naked_asm!(
        architecture!(),
        "push {{r4-r10, lr}}",
        "ldm r0, {{r4, r6, r8, r10}}",
        "ldrd r5, r7, [r2]",
        "ldr r9, [r2, #8]",
        "ldr r12, [r2, #12]",
        "wlstp.8 lr, r3, 3f",
        "2:",
        "vldrb.u8 q0, [r1], #16",
        "vldrb.u8 q1, [r5], #16",
        "vmladava.s8 r4, q0, q1",
        "vldrb.u8 q2, [r7], #16",
        "vmladava.s8 r6, q0, q2",
        "vldrb.u8 q3, [r9], #16",
        "vmladava.s8 r8, q0, q3",
        "vldrb.u8 q1, [r12], #16",
        "vmladava.s8 r10, q0, q1",
        "letp lr, 2b",
        "3:",
        "stm r0, {{r4, r6, r8, r10}}",
        "pop {{r4-r10, pc}}",
    )
}
