//! Convolutions, four pixels at a time: a word has the elements of two pixels, so that one multiplication makes two
//! products.
//!
//! `(a + 2¹⁶ · b) · w = a·w + 2¹⁶ · b·w`. Of two elements, products of bytes add up to 16 bits each; the shift by 16
//! leaves the sum of b, which is one less if that of a is negative: its sign is the last bit that is shifted out, the
//! carry. Words as they are add up to both sums, of which that of b is known.

use super::Memory;
use super::requantize::{Ends, Requant};
use crate::arch::{Image, OutputsI8};
use crate::window::{Span, Window, Windows};
use core::arch::naked_asm;
use core::mem::MaybeUninit;
use flatpack_format::ops::Multiplier;

/// See [`Arch::conv_image_i8`](super::Arch::conv_image_i8).
pub(super) fn conv_image_i8(
    memory: &mut Memory,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([_, width, channels], [oh, ow, len]) = (image.x, image.y);
    let [kh, kw] = image.taps;
    let depth = kh.checked_mul(kw)?.checked_mul(channels)?;
    let pixels = oh.checked_mul(ow)?;
    let w = w.get(..len.checked_mul(depth)?)?;
    // −128 twice by −128 leaves 16 bits. Weights of one step are looked at once.
    let known = memory.kept() != 0;
    if w.is_empty() || pixels < 4 || !(known || w.iter().all(|w| *w != i8::MIN)) {
        return None;
    }
    let words = memory.all_words().get_mut(..depth.div_ceil(2).checked_mul(4)?)?;
    let requant = Requant::of(outputs, len)?;
    let bias = outputs.bias.get(..len)?;
    let y = y.get_mut(..pixels.checked_mul(len)?)?;
    let windows = image.windows();
    let mut columns = Columns { image, windows, row: width.wrapping_mul(channels), odd: depth % 2, x, words };
    let (requant, requant_step) = requant.from(0, 1);
    let last = pixels - 4;
    // The last four begin early enough to be four.
    for first in (0..last).step_by(4).chain([last]) {
        columns.widen(first)?;
        let mut task = Conv {
            x: columns.words.as_ptr(),
            w: w.as_ptr(),
            depth,
            bias: bias.as_ptr(),
            requant,
            requant_step,
            y: y.get_mut(first * len..)?.get_mut(..4 * len)?.as_mut_ptr(),
            y_step: len,
            outputs: len,
            entry: 0,
            skipped: 0,
            ends: Ends::of(outputs),
        };
        // SAFETY: all words were just written; there are weights, bias and multipliers of all outputs, and room for
        // those of four pixels.
        unsafe { four_pixels(&mut task) };
    }
    memory.keep(1);
    Some(())
}

/// What four pixels see. Of each two elements k and k + 1: a word of each for pixels 0 and 1, then a word of each for
/// pixels 2 and 3. An odd number of elements follows one that is 0.
struct Columns<'a> {
    image: &'a Image,
    windows: [Window; 2],
    /// Elements of a row of x.
    row: usize,
    odd: usize,
    x: &'a [i8],
    words: &'a mut [MaybeUninit<u32>],
}

impl Columns<'_> {
    /// The pixels from `first` on.
    fn widen(&mut self, first: usize) -> Option<()> {
        let [_, ow, _] = self.image.y;
        for pair in 0..2 {
            let mut spans = [[Span::default(); 2]; 2];
            for (half, spans) in spans.iter_mut().enumerate() {
                let pixel = first + 2 * pair + half;
                let at = [pixel.checked_div(ow)?, pixel.checked_rem(ow)?];
                let [h, w] = &self.windows;
                *spans = [h.span(at[0]), w.span(at[1])];
            }
            self.widen_pair(2 * pair, &spans)?;
        }
        Some(())
    }

    fn widen_pair(&mut self, at: usize, spans: &[[Span; 2]; 2]) -> Option<()> {
        let [_, _, channels] = self.image.x;
        let [kh, kw] = self.image.taps;
        if self.odd == 1 {
            self.words.get_mut(at)?.write(0);
        }
        let whole = spans.iter().all(|[_, columns]| columns.count == kw && (kw == 1 || columns.input_step == 1));
        let mut k = self.odd;
        for i in 0..kh {
            let rows = spans.each_ref().map(|[rows, columns]| Some((position(rows, i)? * self.row, columns)));
            if whole {
                // Neighbours in x and in the weights.
                let len = kw * channels;
                let taps = rows.map(|row| row.map(|(row, columns)| row + columns.input * channels));
                self.widen_taps(at, k, taps, len)?;
                k += len;
                continue;
            }
            for j in 0..kw {
                let taps = rows.map(|row| row.and_then(|(row, columns)| Some(row + position(columns, j)? * channels)));
                self.widen_taps(at, k, taps, channels)?;
                k += channels;
            }
        }
        Some(())
    }

    /// `len` elements from k on of a pair of pixels, whose words are `at` in each group; `None` for those beside the
    /// image.
    #[inline(never)]
    fn widen_taps(&mut self, at: usize, k: usize, taps: [Option<usize>; 2], len: usize) -> Option<()> {
        let x = self.x;
        let [a, b] = match taps {
            [a, b] => [a, b].map(|from| from.map(|from| x.get(from..)?.get(..len))),
        };
        if let ([Some(a), Some(b)], true) = ([a, b], k.is_multiple_of(2) && len.is_multiple_of(2)) {
            let (a, b) = (a?, b?);
            let to = self.words.get_mut(2 * k + at..)?;
            to.get(..(2 * len).checked_sub(2)?)?;
            // SAFETY: a and b have `len` elements, an even number and not 0; each two of them take two words of
            // four, the last two at least two.
            unsafe { widen_two(a.as_ptr(), b.as_ptr(), to.as_mut_ptr(), len) };
            return Some(());
        }
        let zero = self.image.x_zero_point as i8;
        let of = |x: Option<Option<&[i8]>>, i: usize| -> Option<i32> {
            Some((*x.map_or(Some(&zero), |x| x?.get(i))?).into())
        };
        for i in 0..len {
            let k = k + i;
            let word = of(b, i)?.wrapping_shl(16).wrapping_add(of(a, i)?);
            self.words.get_mut(k / 2 * 4 + at + k % 2)?.write(word as u32);
        }
        Some(())
    }
}

/// Where tap `tap` lies.
fn position(span: &Span, tap: usize) -> Option<usize> {
    let at = tap.checked_sub(span.tap)?;
    (at < span.count).then_some(span.input + at * span.input_step)
}

/// # Safety
/// a and b point to `len` elements, an even number that is not 0, `to` to room for `2 · len − 2` words.
#[unsafe(naked)]
unsafe extern "C" fn widen_two(a: *const i8, b: *const i8, to: *mut MaybeUninit<u32>, len: usize) {
    naked_asm!(
        "push {{r4-r6, lr}}",
        "adds r0, r0, r3",
        "adds r1, r1, r3",
        "rsbs r3, r3, #0",
        "2:",
        "ldrsb r4, [r0, r3]",
        "ldrsb r6, [r1, r3]",
        "lsls r6, r6, #16",
        "adds r4, r4, r6",
        "adds r3, r3, #1",
        "ldrsb r5, [r0, r3]",
        "ldrsb r6, [r1, r3]",
        "lsls r6, r6, #16",
        "adds r5, r5, r6",
        "stm r2!, {{r4, r5}}",
        "adds r2, r2, #8",
        "adds r3, r3, #1",
        "bne 2b",
        "pop {{r4-r6, pc}}",
    )
}

/// The state of the loop over outputs.
#[repr(C)]
struct Conv {
    x: *const MaybeUninit<u32>,
    w: *const i8,
    depth: usize,
    bias: *const i32,
    requant: *const Multiplier,
    /// Bytes from a multiplier to the next one.
    requant_step: usize,
    y: *mut i8,
    /// Bytes from a pixel to the next one.
    y_step: usize,
    outputs: usize,
    /// Where the unrolled loop is entered, and how many weights it then skips.
    entry: usize,
    skipped: usize,
    ends: Ends,
}

/// Two elements of a pair of pixels.
macro_rules! two_of_a_pair {
    ($all:literal, $b:literal) => {
        concat!(
            "ldm r4!, {{r2, r3}}\n",
            "muls r2, r0, r2\n",
            "muls r3, r1, r3\n",
            "adds r2, r2, r3\n",
            "add ",
            $all,
            ", r2\n",
            "asrs r2, r2, #16\n",
            "adcs ",
            $b,
            ", r2\n",
        )
    };
}

/// Two elements of four pixels: 36 bytes, of which eight load the weights.
macro_rules! two_of_four {
    ($first:literal, $second:literal) => {
        concat!(
            "ldrb r0, [r5, #",
            $first,
            "]\n",
            "sxtb r0, r0\n",
            "ldrb r1, [r5, #",
            $second,
            "]\n",
            "sxtb r1, r1\n",
            two_of_a_pair!("r8", "r6"),
            two_of_a_pair!("r9", "r7"),
        )
    };
}

/// The element of a pixel whose sum is in `$sum`, at r3.
macro_rules! end {
    ($sum:literal) => {
        concat!("mov r0, ", $sum, "\n", requantize!("44", "r11", "r12"), "strb r0, [r3]\n")
    };
}

/// Leads r3 to the next pixel.
macro_rules! next_pixel {
    () => {
        "ldr r1, [r4, #28]
        adds r3, r3, r1
        "
    };
}

/// # Safety
/// x points to the words of four pixels, w, `bias` and `requant` to those of all outputs, y to room for them. No count
/// is 0.
#[unsafe(naked)]
unsafe extern "C" fn four_pixels(task: &mut Conv) {
    naked_asm!(
        enter!(),
        // Of eight weights, the loop begins with so many that whole turns are left. The first of an odd number is
        // loaded before it.
        "ldr r1, [r0, #8]",
        "movs r2, #7",
        "rsbs r3, r1, #0",
        "ands r3, r2",
        "str r3, [r0, #40]",
        "lsrs r2, r3, #1",
        "movs r5, #36",
        "muls r2, r5, r2",
        "movs r5, #1",
        "ands r3, r5",
        "lsls r3, r3, #3",
        "adds r2, r2, r3",
        "adr r3, 3f",
        "adds r2, r2, r3",
        "str r2, [r0, #36]",
        "2:",
        "ldr r4, [r0]",
        "ldr r5, [r0, #4]",
        "ldr r1, [r0, #8]",
        "adds r1, r1, r5",
        "str r1, [r0, #4]",
        "mov r10, r1",
        "ldr r2, [r0, #40]",
        "ldr r3, [r0, #36]",
        "ldrb r1, [r5]",
        "sxtb r1, r1",
        "subs r5, r5, r2",
        "movs r6, #0",
        "movs r7, #0",
        "mov r8, r6",
        "mov r9, r6",
        "mov pc, r3",
        ".p2align 2",
        "3:",
        two_of_four!("0", "1"),
        two_of_four!("2", "3"),
        two_of_four!("4", "5"),
        two_of_four!("6", "7"),
        "adds r5, r5, #8",
        "cmp r5, r10",
        "bne 3b",
        // Sums of pixels 0 to 3 in r8, r9, r10 and lr.
        "ldr r4, [sp]",
        "ldr r3, [r4, #12]",
        "ldm r3!, {{r0}}",
        "str r3, [r4, #12]",
        "lsls r1, r6, #16",
        "mov r2, r8",
        "subs r2, r2, r1",
        "adds r2, r2, r0",
        "mov r8, r2",
        "lsls r1, r7, #16",
        "mov r2, r9",
        "subs r2, r2, r1",
        "adds r2, r2, r0",
        "mov r10, r2",
        "adds r6, r6, r0",
        "mov r9, r6",
        "adds r7, r7, r0",
        "mov lr, r7",
        "ldr r3, [r4, #16]",
        "ldr r5, [r3]",
        "ldr r7, [r3, #4]",
        "ldr r0, [r4, #20]",
        "adds r3, r3, r0",
        "str r3, [r4, #16]",
        take_apart!(),
        "ldr r0, [r4, #48]",
        "mov r11, r0",
        "ldr r0, [r4, #52]",
        "mov r12, r0",
        "ldr r3, [r4, #24]",
        "adds r0, r3, #1",
        "str r0, [r4, #24]",
        end!("r8"),
        next_pixel!(),
        end!("r9"),
        next_pixel!(),
        end!("r10"),
        next_pixel!(),
        end!("lr"),
        "ldr r1, [r4, #32]",
        "subs r1, r1, #1",
        "str r1, [r4, #32]",
        "beq 4f",
        "mov r0, r4",
        "b 2b",
        "4:",
        leave!(),
    )
}
