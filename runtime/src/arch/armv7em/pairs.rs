//! Convolutions, and products of rows, with weights in layout `pairs`: the loops over outputs.
//!
//! A word of weights has two elements of two outputs, so that two instructions widen all four. Four pixels at
//! a time: two elements of four pixels and two outputs then take 13 instructions for 16 products. Of one
//! pixel, eight elements and two outputs take 18.

use super::columns::{Columns, widen_one};
use super::requantize::{Bounds, moved};
use super::{Memory, sxtb16, sxtb16_ror8};
use crate::arch::{Image, OutputsI8};
use core::arch::naked_asm;
use core::mem::MaybeUninit;
use core::ptr::{null, null_mut};
use flatpack_format::ops::Multiplier;

/// See [`Arch::conv_image_in_pairs_i8`](super::Arch::conv_image_in_pairs_i8).
pub(super) fn conv_image_in_pairs_i8(
    memory: &mut Memory,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let [oh, ow, len] = image.y;
    let mut columns = Columns::of(image, x, memory)?;
    let groups = columns.groups;
    if len == 0 || !outputs.plain || image.dilation != [1; 2] {
        return None;
    }
    let pixels = oh * ow;
    let y = y.get_mut(..pixels * len)?;
    let mut same = [Multiplier { mantissa: 0, shift: 0 }; 2];
    let tiles = Tiles::of(groups, w, outputs, len, &mut same)?;
    let mut pixel = 0;
    while pixel < pixels {
        let count = if columns.four && pixels - pixel >= 4 { 4 } else { 1 };
        let (run, first, words): (Run, _, _) = if count == 4 {
            columns.widen_four(pixel)?;
            (four_pixels, groups % 4, 8 * groups)
        } else {
            columns.widen_one(pixel)?;
            (one_pixel, groups, 2 * groups)
        };
        let y = y.get_mut(pixel * len..)?.get_mut(..count * len)?;
        // SAFETY: the groups of these pixels were just widened, for which y has room.
        unsafe { tiles.run(run, first, columns.widened(), words, y)? };
        pixel += count;
    }
    Some(())
}

/// See [`Arch::row_in_pairs_i8`](super::Arch::row_in_pairs_i8).
pub(super) fn row_in_pairs_i8(
    memory: &mut Memory,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let groups = x.len().div_ceil(4);
    let words = memory.all_words().get_mut(..2 * groups)?;
    let mut same = [Multiplier { mantissa: 0, shift: 0 }; 2];
    let tiles = Tiles::of(groups, w, outputs, y.len(), &mut same)?;
    let (whole, rest) = x.as_chunks::<4>();
    if !whole.is_empty() {
        // SAFETY: x has these groups, and there is room for them.
        unsafe { widen_one(x.as_ptr(), words.as_mut_ptr(), whole.len(), 1, 0) };
    }
    if !rest.is_empty() {
        let mut last = [0; 4];
        last.iter_mut().zip(rest).for_each(|(to, x)| *to = *x as u8);
        let last = u32::from_le_bytes(last);
        let to: &mut [_; 2] = words.last_chunk_mut()?;
        *to = [sxtb16(last), sxtb16_ror8(last)].map(MaybeUninit::new);
    }
    // SAFETY: all groups were just widened.
    unsafe { tiles.run(one_pixel, groups, words.as_ptr().cast(), words.len(), y) }
}

/// A loop over tiles.
type Run = unsafe extern "C" fn(&Pairs);

/// What becomes of the outputs of a pixel, in tiles of two.
struct Tiles {
    task: Pairs,
    groups: usize,
    /// Outputs.
    len: usize,
    last_bias: [i32; 2],
    last_requant: [Multiplier; 2],
}

impl Tiles {
    /// `None` if weights, bias and multipliers are not those of `len` outputs of as many groups, or not plain. A
    /// multiplier of all outputs is put in `same`.
    #[inline(never)]
    fn of(
        groups: usize,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        len: usize,
        same: &mut [Multiplier; 2],
    ) -> Option<Self> {
        if groups == 0 || !outputs.plain {
            return None;
        }
        w.get(..len.div_ceil(2).checked_mul(groups)?.checked_mul(8)?)?;
        let (requant, requant_step) = match outputs.requant {
            [one] => {
                *same = [*one; 2];
                (same.as_slice(), 0)
            }
            all => (all.get(..len)?, 2 * size_of::<Multiplier>()),
        };
        let bias = outputs.bias.get(..len)?;
        Some(Self {
            // Of an odd number, the last output has a tile of its own, beside which nothing is.
            last_bias: [*bias.last()?, 0],
            last_requant: [*requant.last()?; 2],
            task: Pairs {
                x: null(),
                bias: bias.as_ptr(),
                x_end: null(),
                first: 0,
                requant: requant.as_ptr(),
                requant_step,
                y: null_mut(),
                y_step: len,
                y_end: null_mut(),
                moved: moved(outputs.y.zero_point),
                bounds: Bounds::of(&outputs.y),
                w: w.as_ptr(),
            },
            groups,
            len,
        })
    }

    /// The outputs of one pixel or four, by the loop for as many.
    ///
    /// # Safety
    /// `x` points to the `words` of the groups of these pixels, for whose outputs y has room. What this was made of
    /// is still there.
    #[inline(never)]
    unsafe fn run(&self, run: Run, first: usize, x: *const u32, words: usize, y: &mut [i8]) -> Option<()> {
        let len = self.len;
        let start = y.as_mut_ptr();
        let x_end = x.wrapping_add(words);
        let task = Pairs { x, x_end, first, y: start, y_end: start.wrapping_add(len / 2 * 2), ..self.task };
        if len > 1 {
            // SAFETY: as the caller promises; weights, bias and multipliers were seen to be those of all outputs,
            // and there is a whole tile.
            unsafe { run(&task) };
        }
        if len % 2 == 1 {
            let mut both = [0i8; 8];
            let to = both.as_mut_ptr();
            let task = Pairs {
                bias: self.last_bias.as_ptr(),
                requant: self.last_requant.as_ptr(),
                y: to,
                y_step: 2,
                y_end: to.wrapping_add(2),
                w: task.w.wrapping_add((len - 1) * 4 * self.groups),
                ..task
            };
            // SAFETY: as above, for one tile: two outputs of up to four pixels.
            unsafe { run(&task) };
            y.iter_mut().skip(len - 1).step_by(len).zip(both.iter().step_by(2)).for_each(|(to, y)| *to = *y);
        }
        Some(())
    }
}

/// The state of a loop over tiles of two outputs.
#[derive(Clone, Copy)]
#[repr(C)]
struct Pairs {
    x: *const u32,
    bias: *const i32,
    x_end: *const u32,
    /// Of four pixels, the groups before the first four; of one, all groups.
    first: usize,
    requant: *const Multiplier,
    /// Bytes from the multipliers of a tile to those of the next one.
    requant_step: usize,
    y: *mut i8,
    y_step: usize,
    /// Past the outputs of the first pixel.
    y_end: *mut i8,
    moved: i32,
    bounds: Bounds,
    w: *const i8,
}

/// Two elements of four pixels and two outputs.
macro_rules! step_of_four {
    () => {
        "ldr r12, [r1], #4
        sxtb16 lr, r12
        sxtb16 r12, r12, ror #8
        ldm r0!, {{r2, r3}}
        smlad r4, r2, lr, r4
        smlad r8, r2, r12, r8
        smlad r5, r3, lr, r5
        smlad r9, r3, r12, r9
        ldm r0!, {{r2, r3}}
        smlad r6, r2, lr, r6
        smlad r10, r2, r12, r10
        smlad r7, r3, lr, r7
        smlad r11, r3, r12, r11
        "
    };
}

/// Tiles of four pixels and two outputs.
///
/// # Safety
/// x points to the groups of four pixels, of which x_end is past the last one; w, `bias` and `requant` to those
/// of all tiles; y to room for them at each pixel. y_end is past y by an even number that is not 0.
#[unsafe(naked)]
unsafe extern "C" fn four_pixels(task: &Pairs) {
    naked_asm!(
        dsp!(),
        "push {{r4-r11, lr}}",
        "ldm r0, {{r1-r11}}",
        "adr.w r12, 3f",
        "cmp r4, #0",
        "beq 1f",
        "adr.w r12, 6f",
        "cmp r4, #2",
        "blt 1f",
        "adr.w r12, 5f",
        "beq 1f",
        "adr.w r12, 4f",
        "1:",
        "add r4, r12, #1",
        "mov r12, r0",
        // On the stack: the task, with where the groups begin in the place of how many are first.
        "push {{r1-r12}}",
        "ldr r1, [r0, #52]",
        "2:",
        "ldrd r0, r2, [sp]",
        "ldrd r4, r8, [r2], #8",
        "str r2, [sp, #4]",
        "mov r5, r4",
        "mov r6, r4",
        "mov r7, r4",
        "mov r9, r8",
        "mov r10, r8",
        "mov r11, r8",
        "ldr pc, [sp, #12]",
        "3:",
        step_of_four!(),
        step_of_four!(),
        "4:",
        step_of_four!(),
        step_of_four!(),
        "5:",
        step_of_four!(),
        step_of_four!(),
        "6:",
        step_of_four!(),
        step_of_four!(),
        "ldr r2, [sp, #8]",
        "cmp r0, r2",
        "bne 3b",
        "ldrd r0, r2, [sp, #16]",
        "add r2, r2, r0",
        "str r2, [sp, #16]",
        "ldr r12, [sp, #36]",
        "ldrd r2, r3, [r0]",
        make_ready!("r2", "r3", "r12", "r12"),
        requantize!("r4", "r2", "r3", "r12", "lr"),
        requantize!("r5", "r2", "r3", "r12", "lr"),
        requantize!("r6", "r2", "r3", "r12", "lr"),
        requantize!("r7", "r2", "r3", "r12", "lr"),
        "ldr r12, [sp, #36]",
        "ldrd r2, r3, [r0, #8]",
        make_ready!("r2", "r3", "r12", "r12"),
        requantize!("r8", "r2", "r3", "r12", "lr"),
        requantize!("r9", "r2", "r3", "r12", "lr"),
        requantize!("r10", "r2", "r3", "r12", "lr"),
        requantize!("r11", "r2", "r3", "r12", "lr"),
        "bfi r4, r8, #8, #8",
        "bfi r5, r9, #8, #8",
        "bfi r6, r10, #8, #8",
        "bfi r7, r11, #8, #8",
        "ldr r2, [sp, #40]",
        "cmp r2, #0",
        "bne 8f",
        "7:",
        "ldrd r0, r2, [sp, #24]",
        "add r3, r0, r2",
        "strh r5, [r0, r2]",
        "strh r6, [r0, r2, lsl #1]",
        "strh r7, [r3, r2, lsl #1]",
        "strh r4, [r0], #2",
        "str r0, [sp, #24]",
        "ldr r2, [sp, #32]",
        "cmp r0, r2",
        "bne 2b",
        "add sp, sp, #48",
        "pop {{r4-r11, pc}}",
        "8:",
        "ldr r2, [sp, #44]",
        "ldrd r2, r3, [r2, #44]",
        bound_bytes!("r4", "r2", "r3", "r12"),
        bound_bytes!("r5", "r2", "r3", "r12"),
        bound_bytes!("r6", "r2", "r3", "r12"),
        bound_bytes!("r7", "r2", "r3", "r12"),
        "b 7b",
    )
}

/// Two elements, widened in `$x`, of one pixel and two outputs, whose weights are in `$w`.
macro_rules! step_of_one {
    ($x:literal, $w:literal) => {
        concat!(
            "sxtb16 lr, ",
            $w,
            "\n",
            "sxtb16 ",
            $w,
            ", ",
            $w,
            ", ror #8\n",
            "smlad r4, ",
            $x,
            ", lr, r4\n",
            "smlad r5, ",
            $x,
            ", ",
            $w,
            ", r5\n",
        )
    };
}

/// Eight elements of one pixel and two outputs.
macro_rules! steps_of_one {
    () => {
        concat!(
            "ldm r1!, {{r6-r9}}\n",
            "ldm r0!, {{r3, r10, r11, r12}}\n",
            step_of_one!("r3", "r6"),
            step_of_one!("r10", "r7"),
            step_of_one!("r11", "r8"),
            step_of_one!("r12", "r9"),
        )
    };
}

/// Tiles of one pixel and two outputs.
///
/// # Safety
/// As [`four_pixels`], with the groups of one pixel.
#[unsafe(naked)]
unsafe extern "C" fn one_pixel(task: &Pairs) {
    naked_asm!(
        dsp!(),
        "push {{r4-r11, lr}}",
        "ldm r0, {{r1-r11}}",
        // r8 has where pairs of groups begin, r4 where groups do: before them, if their number is odd.
        "adr.w r12, 9f",
        "lsrs lr, r4, #1",
        "beq 1f",
        "adr.w r12, 3f",
        "ands lr, lr, #3",
        "beq 1f",
        "adr.w r12, 6f",
        "cmp lr, #2",
        "blt 1f",
        "adr.w r12, 5f",
        "beq 1f",
        "adr.w r12, 4f",
        "1:",
        "add r8, r12, #1",
        "adr.w r12, 10f",
        "add r12, r12, #1",
        "tst r4, #1",
        "mov r4, r8",
        "it ne",
        "movne r4, r12",
        "mov r12, r0",
        "push {{r1-r12}}",
        "ldr r1, [r0, #52]",
        "2:",
        "ldrd r0, r2, [sp]",
        "ldrd r4, r5, [r2], #8",
        "str r2, [sp, #4]",
        "ldr r2, [sp, #8]",
        "ldr pc, [sp, #12]",
        "10:",
        "ldm r1!, {{r6, r7}}",
        "ldm r0!, {{r3, r10}}",
        step_of_one!("r3", "r6"),
        step_of_one!("r10", "r7"),
        "ldr pc, [sp, #28]",
        "3:",
        steps_of_one!(),
        "4:",
        steps_of_one!(),
        "5:",
        steps_of_one!(),
        "6:",
        steps_of_one!(),
        "cmp r0, r2",
        "bne 3b",
        "9:",
        "ldrd r0, r2, [sp, #16]",
        "add r2, r2, r0",
        "str r2, [sp, #16]",
        "ldr r12, [sp, #36]",
        "ldm r0, {{r6-r9}}",
        make_ready!("r6", "r7", "r10", "r12"),
        requantize!("r4", "r6", "r7", "r10", "lr"),
        make_ready!("r8", "r9", "r10", "r12"),
        requantize!("r5", "r8", "r9", "r10", "lr"),
        "bfi r4, r5, #8, #8",
        "ldr r2, [sp, #40]",
        "cmp r2, #0",
        "bne 8f",
        "7:",
        "ldr r0, [sp, #24]",
        "strh r4, [r0], #2",
        "str r0, [sp, #24]",
        "ldr r2, [sp, #32]",
        "cmp r0, r2",
        "bne 2b",
        "add sp, sp, #48",
        "pop {{r4-r11, pc}}",
        "8:",
        "ldr r2, [sp, #44]",
        "ldrd r2, r3, [r2, #44]",
        bound_bytes!("r4", "r2", "r3", "r12"),
        "b 7b",
    )
}
