//! What windows see, widened to 16 bits in the order of weights in layout `pairs`: elements 0 and 2 of each
//! group of four, then elements 1 and 3. Of four pixels, a word of each follows the one of the pixel before.

use super::{Memory, WORDS};
use crate::arch::Image;
use crate::window::{Window, Windows};
use core::arch::naked_asm;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::slice;

/// The windows of an image, and room for what one or four of them see.
pub(super) struct Columns<'a> {
    image: Image,
    x: &'a [i8],
    zero: i8,
    windows: [Window; 2],
    /// Positions of windows that are whole along height and width.
    whole: [Range<usize>; 2],
    /// Bytes of a row of taps, in x and in the weights.
    run: usize,
    /// Whether a row of taps is widened where it lies: it is of whole groups, or the only one.
    direct: bool,
    /// Groups of four elements that a window has.
    pub(super) groups: usize,
    /// Whether there is room for four pixels.
    pub(super) four: bool,
    /// First the widened words; at the end a window's bytes in the order of the weights.
    memory: &'a mut [MaybeUninit<u32>],
}

impl<'a> Columns<'a> {
    /// `None` where there is no room for a window.
    pub(super) fn of(image: &Image, x: &'a [i8], memory: &'a mut Memory) -> Option<Self> {
        let ([h, width, channels], [kh, kw]) = (image.x, image.taps);
        let run = kw.checked_mul(channels)?;
        let groups = run.checked_mul(kh)?.div_ceil(4);
        // Copies end up to three bytes past the last group.
        let bytes = groups.checked_add(1)?;
        if groups == 0 || groups.checked_mul(3)?.checked_add(1)? > WORDS {
            return None;
        }
        Some(Self {
            x: x.get(..h * width * channels)?,
            zero: i8::try_from(image.x_zero_point).ok()?,
            windows: image.windows(),
            whole: [image.whole(0), image.whole(1)],
            run,
            direct: kh == 1 || run.is_multiple_of(4),
            groups,
            four: 8 * groups + bytes <= WORDS,
            memory: memory.all_words(),
            image: *image,
        })
    }

    /// Where the widened words begin.
    pub(super) fn widened(&self) -> *const u32 {
        self.memory.as_ptr().cast()
    }

    /// Widens what four pixels from this one on see.
    pub(super) fn widen_four(&mut self, pixel: usize) -> Option<()> {
        let [row, column] = self.position(pixel)?;
        let [_, whole] = &self.whole;
        if self.direct && whole.contains(&column) && column + 4 <= whole.end {
            let step = self.image.stride[1] * self.image.x[2];
            if let Some(x) = self.whole_window(row, column, 3 * step) {
                let to = self.memory.get_mut(..8 * self.groups)?.as_mut_ptr();
                let (groups, rows, skip) = self.runs();
                // SAFETY: each pixel has `rows` rows of as many groups, and the memory room for them.
                unsafe { widen_four_pixels(x.as_ptr(), step, to, groups, rows, skip) };
                return Some(());
            }
        }
        self.widen_slot(row, column, Some(0))?;
        for slot in 1..4 {
            let [row, column] = self.position(pixel + slot)?;
            self.widen_slot(row, column, Some(slot))?;
        }
        Some(())
    }

    /// Widens what a pixel sees.
    pub(super) fn widen_one(&mut self, pixel: usize) -> Option<()> {
        let [row, column] = self.position(pixel)?;
        self.widen_slot(row, column, None)
    }

    fn position(&self, pixel: usize) -> Option<[usize; 2]> {
        let [_, ow, _] = self.image.y;
        let row = pixel.checked_div(ow)?;
        Some([row, pixel - row * ow])
    }

    /// Groups of a row of taps, rows, and bytes of x from the end of a row's groups to the next row.
    fn runs(&self) -> (usize, usize, usize) {
        let ([_, width, channels], [kh, _]) = (self.image.x, self.image.taps);
        let groups = self.run.div_ceil(4);
        (groups, kh, (width * channels).wrapping_sub(4 * groups))
    }

    /// The activations from the first tap of a window on, if it is whole: then they go on for the whole groups of
    /// its last row, `more` bytes further.
    fn whole_window(&self, row: usize, column: usize, more: usize) -> Option<&'a [i8]> {
        let ([rows, columns], [_, width, channels]) = (&self.whole, self.image.x);
        if !rows.contains(&row) || !columns.contains(&column) {
            return None;
        }
        let ([sh, sw], [top, left], [kh, _]) = (self.image.stride, self.image.pad, self.image.taps);
        let x = self.x.get(((row * sh - top) * width + column * sw - left) * channels..)?;
        let len = (kh - 1) * width * channels + more + self.run.next_multiple_of(4);
        (x.len() >= len).then_some(x)
    }

    /// Widens what a pixel sees into a slot of four, or alone.
    fn widen_slot(&mut self, row: usize, column: usize, slot: Option<usize>) -> Option<()> {
        let (groups, rows, skip) = self.runs();
        let whole = self.whole_window(row, column, 0);
        let (widened, bytes) = self.memory.split_at_mut_checked(WORDS - self.groups - 1)?;
        let (from, groups, rows, skip) = match whole {
            Some(x) if self.direct => (x.as_ptr(), groups, rows, skip),
            Some(x) => {
                let past = self.run.wrapping_sub(4 * groups);
                // SAFETY: x has the whole groups of each row, and the memory room for all bytes of a window and
                // for three more.
                unsafe { gather(x.as_ptr(), bytes.as_mut_ptr(), groups, rows, skip, past) };
                (bytes.as_ptr().cast(), self.groups, 1, 0)
            }
            None => {
                let bytes = filled(bytes, self.zero);
                let ([h_windows, w_windows], [_, width, channels]) = (self.windows, self.image.x);
                let (rows, columns) = (h_windows.span(row), w_windows.span(column));
                let x = self.x.get((rows.input * width + columns.input) * channels..)?;
                let to = bytes.get_mut(rows.tap * self.run + columns.tap * channels..)?;
                let len = columns.count * channels;
                for row in 0..rows.count {
                    copy(x.get(row * width * channels..)?.get(..len)?, to.get_mut(row * self.run..)?);
                }
                (bytes.as_ptr(), self.groups, 1, 0)
            }
        };
        match slot {
            Some(slot) => {
                let to = widened.get_mut(..8 * self.groups)?.get_mut(slot..)?.as_mut_ptr();
                // SAFETY: there are `rows` rows of as many groups, and room for them at a pixel of four.
                unsafe { widen_one_of_four(from, to, groups, rows, skip) }
            }
            None => {
                let to = widened.get_mut(..2 * self.groups)?.as_mut_ptr();
                // SAFETY: there are `rows` rows of as many groups, and room for them.
                unsafe { widen_one(from, to, groups, rows, skip) }
            }
        }
        Some(())
    }
}

/// The memory as bytes that have this value.
fn filled(memory: &mut [MaybeUninit<u32>], value: i8) -> &mut [i8] {
    let word = u32::from(value as u8).wrapping_mul(0x0101_0101);
    memory.iter_mut().for_each(|to| *to = MaybeUninit::new(word));
    // SAFETY: all words were just written, and nobody else has them; bytes may have any value.
    unsafe { slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), size_of_val(memory)) }
}

/// Copies `from` to the begin of `to`.
fn copy(from: &[i8], to: &mut [i8]) {
    match to.get_mut(..from.len()) {
        Some(to) if from.len() >= 16 => to.copy_from_slice(from),
        _ => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
    }
}

/// A group of a pixel: the second word `$apart` bytes after the first, the next group `$step` bytes on.
macro_rules! group {
    ($apart:literal, $step:literal) => {
        concat!(
            "ldr r5, [r0], #4\n",
            "sxtb16 r6, r5\n",
            "sxtb16 r5, r5, ror #8\n",
            "str r5, [r1, #",
            $apart,
            "]\n",
            "str r6, [r1], #",
            $step,
            "\n",
        )
    };
}

/// `rows` rows of groups of a pixel, which lie `skip` bytes apart.
macro_rules! groups {
    ($apart:literal, $step:literal) => {
        concat!(
            "push {{r4-r6, lr}}\n",
            "ldr r12, [sp, #16]\n",
            "2:\n",
            "subs r4, r2, #4\n",
            "blt 4f\n",
            "3:\n",
            group!($apart, $step),
            group!($apart, $step),
            group!($apart, $step),
            group!($apart, $step),
            "subs r4, r4, #4\n",
            "bge 3b\n",
            "4:\n",
            "adds r4, r4, #4\n",
            "beq 6f\n",
            "5:\n",
            group!($apart, $step),
            "subs r4, r4, #1\n",
            "bne 5b\n",
            "6:\n",
            "add r0, r0, r12\n",
            "subs r3, r3, #1\n",
            "bne 2b\n",
            "pop {{r4-r6, pc}}\n",
        )
    };
}

/// Widens a pixel alone.
///
/// # Safety
/// x points to `rows` rows of `groups` groups, which lie `skip` bytes apart; `to` to room for all groups. No count
/// is 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen_one(
    x: *const i8,
    to: *mut MaybeUninit<u32>,
    groups: usize,
    rows: usize,
    skip: usize,
) {
    naked_asm!(dsp!(), groups!("4", "8"))
}

/// Widens one pixel of four.
///
/// # Safety
/// As [`widen_one`], with room for the groups of four pixels.
#[unsafe(naked)]
unsafe extern "C" fn widen_one_of_four(
    x: *const i8,
    to: *mut MaybeUninit<u32>,
    groups: usize,
    rows: usize,
    skip: usize,
) {
    naked_asm!(dsp!(), groups!("16", "32"))
}

/// Widens four pixels, `step` bytes apart.
///
/// # Safety
/// As [`widen_one`], for each of the pixels.
#[unsafe(naked)]
unsafe extern "C" fn widen_four_pixels(
    x: *const i8,
    step: usize,
    to: *mut MaybeUninit<u32>,
    groups: usize,
    rows: usize,
    skip: usize,
) {
    naked_asm!(
        dsp!(),
        "push {{r4-r11, lr}}",
        "add r12, r0, r1",
        "2:",
        "mov r11, r3",
        "3:",
        "ldr r5, [r0, r1]",
        "ldr r6, [r0, r1, lsl #1]",
        "ldr r7, [r12, r1, lsl #1]",
        "ldr r4, [r0], #4",
        "add r12, r12, #4",
        "sxtb16 r8, r4",
        "sxtb16 r9, r5",
        "sxtb16 r10, r6",
        "sxtb16 lr, r7",
        "stm r2!, {{r8, r9, r10, lr}}",
        "sxtb16 r4, r4, ror #8",
        "sxtb16 r5, r5, ror #8",
        "sxtb16 r6, r6, ror #8",
        "sxtb16 r7, r7, ror #8",
        "stm r2!, {{r4-r7}}",
        "subs r11, r11, #1",
        "bne 3b",
        "ldrd r4, r5, [sp, #36]",
        "add r0, r0, r5",
        "add r12, r12, r5",
        "subs r4, r4, #1",
        "str r4, [sp, #36]",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// Copies rows of words, the first bytes of which follow each other.
///
/// # Safety
/// x points to `rows` rows of as many words, which lie `skip` bytes apart; `to` to room for them, `past` bytes
/// apart. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn gather(
    x: *const i8,
    to: *mut MaybeUninit<u32>,
    words: usize,
    rows: usize,
    skip: usize,
    past: usize,
) {
    naked_asm!(
        dsp!(),
        "push {{r4-r7, lr}}",
        "ldrd r4, r5, [sp, #20]",
        "2:",
        "mov r6, r2",
        "3:",
        "ldr r7, [r0], #4",
        "str r7, [r1], #4",
        "subs r6, r6, #1",
        "bne 3b",
        "add r0, r0, r4",
        "add r1, r1, r5",
        "subs r3, r3, #1",
        "bne 2b",
        "pop {{r4-r7, pc}}",
    )
}
