//! Convolutions, four pixels at a time, or two of long windows: a word has the elements of two pixels, so that one multiplication makes two
//! products.
//!
//! `(a + 2¹⁶ · b) · w = a·w + 2¹⁶ · b·w`. Of two elements, products of bytes add up to 16 bits each; the shift by 16
//! leaves the sum of b, which is one less if that of a is negative: its sign is the last bit that is shifted out, the
//! carry. Words as they are add up to both sums, of which that of b is known.

use super::Memory;
use super::requantize::{Ends, Requant};
use crate::arch::{Image, OutputsI8};
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
    let ([_, _, channels], [oh, ow, len]) = (image.x, image.y);
    let [kh, kw] = image.taps;
    let depth = kh.checked_mul(kw)?.checked_mul(channels)?;
    let pixels = oh.checked_mul(ow)?;
    let known = memory.kept() != 0;
    let words = memory.all_words();
    let of_pair = depth.div_ceil(2).checked_mul(2)?;
    let (tile, run): (_, Run) = match of_pair.checked_mul(2)? <= words.len() && pixels >= 4 {
        true => (4, four_pixels),
        false => (2, two_pixels),
    };
    let words = words.get_mut(..of_pair.checked_mul(tile)? / 2)?;
    let last = pixels.checked_sub(tile)?;
    let w = w.get(..len.checked_mul(depth)?)?;
    // Weights of one step are looked at once.
    if w.is_empty() || !(known || are_above_the_least(w)) {
        return None;
    }
    let (requant, bias) = (Requant::of(outputs, len)?, outputs.bias.get(..len)?);
    let (requant, requant_step) = requant.from(0, 1)?;
    let y = y.get_mut(..pixels.checked_mul(len)?)?;
    let mut columns = Columns { image, odd: depth % 2, tile, zero: image.x_zero_point as i8, x, words };
    // The last tile begins early enough to be a whole one.
    for first in (0..last).step_by(tile).chain([last]) {
        columns.widen(first)?;
        let mut task = Conv {
            x: columns.words.as_ptr(),
            w: w.as_ptr(),
            depth,
            bias: bias.as_ptr(),
            requant,
            requant_step,
            y: y.get_mut(first * len..)?.get_mut(..tile * len)?.as_mut_ptr(),
            y_step: len,
            outputs: len,
            entry: 0,
            skipped: 0,
            ends: Ends::of(outputs),
        };
        // SAFETY: all words were just written; there are weights, bias and multipliers of all outputs, and room for
        // those of a tile of pixels.
        unsafe { run(&mut task) };
    }
    memory.keep(1);
    Some(())
}

/// Whether no weight is −128, of which two products with −128 leave 16 bits.
fn are_above_the_least(w: &[i8]) -> bool {
    const LOW: u32 = 0x0101_0101;
    let (before, words, after) = bytemuck::pod_align_to::<i8, u32>(w);
    let mut bytes = before.iter().chain(after);
    bytes.all(|w| *w != i8::MIN)
        && words.iter().all(|word| {
            // The sign is turned: which byte is 0 now?
            let word = word ^ (LOW << 7);
            word.wrapping_sub(LOW) & !word & (LOW << 7) == 0
        })
}

/// What a tile of pixels sees. Of each two elements k and k + 1: a word of each for pixels 0 and 1, then of four a word of
/// each for pixels 2 and 3. An odd number of elements follows one that is 0.
struct Columns<'a> {
    image: &'a Image,
    odd: usize,
    /// Pixels, and words of two elements.
    tile: usize,
    /// The zero point of x.
    zero: i8,
    x: &'a [i8],
    words: &'a mut [MaybeUninit<u32>],
}

impl Columns<'_> {
    /// The pixels from `first` on.
    fn widen(&mut self, first: usize) -> Option<()> {
        let Image { y: [_, ow, _], stride: [stride_h, stride_w], pad: [pad_h, pad_w], .. } = *self.image;
        let (mut row, mut column) = (first.checked_div(ow)?, first.checked_rem(ow)?);
        for at in (0..self.tile).step_by(2) {
            let mut corners = [[0; 2]; 2];
            for corner in &mut corners {
                // Before the image, it wraps.
                *corner = [(row * stride_h).wrapping_sub(pad_h), (column * stride_w).wrapping_sub(pad_w)];
                column += 1;
                if column == ow {
                    (row, column) = (row + 1, 0);
                }
            }
            self.widen_pair(at, corners)?;
        }
        Some(())
    }

    /// A pair of pixels, whose words are `at` in each group, and whose windows begin at these rows and columns.
    fn widen_pair(&mut self, at: usize, corners: [[usize; 2]; 2]) -> Option<()> {
        let &Image { x: [h, width, channels], taps: [kh, kw], dilation: [dilation_h, dilation_w], .. } =
            self.image;
        let inside = |from: usize, tap: usize, step: usize, len: usize| {
            let at = from.wrapping_add(tap.wrapping_mul(step));
            (at < len).then_some(at)
        };
        if self.odd == 1 {
            self.words.get_mut(at)?.write(0);
        }
        let whole = |[_, left]: [usize; 2]| left < width && inside(left, kw - 1, 1, width).is_some();
        // Neighbours in x and in the weights are one tap.
        let (taps, len) = match (dilation_w == 1 || kw == 1) && corners.into_iter().all(whole) {
            true => (1, kw * channels),
            false => (kw, channels),
        };
        let mut k = self.odd;
        for i in 0..kh {
            for j in 0..taps {
                let of = |[top, left]: [usize; 2]| {
                    let pixel = inside(top, i, dilation_h, h)? * width + inside(left, j, dilation_w, width)?;
                    Some(pixel * channels)
                };
                self.widen_tap(at, k, corners.map(of), len)?;
                k += len;
            }
        }
        Some(())
    }

    /// `len` elements from k on, which in x are from the places on, or beside it.
    #[inline(never)]
    fn widen_tap(&mut self, at: usize, mut k: usize, places: [Option<usize>; 2], len: usize) -> Option<()> {
        let &mut Self { tile, ref zero, x, .. } = self;
        let of = |place: Option<usize>| match place {
            Some(place) => Some((x.get(place..)?.get(..len)?, 1)),
            None => Some((core::slice::from_ref(zero), 0)),
        };
        let [a, b] = places;
        let ((a, a_step), (b, b_step)) = (of(a)?, of(b)?);
        let word = |i: usize| {
            let [a, b] = [a.get(i * a_step)?, b.get(i * b_step)?].map(|x| i32::from(*x));
            Some(b.wrapping_shl(16).wrapping_add(a) as u32)
        };
        let mut i = 0;
        if k % 2 == 1 && len > 0 {
            self.words.get_mut(k / 2 * tile + at + 1)?.write(word(0)?);
            (i, k) = (1, k + 1);
        }
        let twos = (len - i) / 2;
        if twos > 0 {
            let (a, b) = (a.get(i * a_step..)?, b.get(i * b_step..)?);
            let to = self.words.get_mut(k / 2 * tile + at..)?;
            to.get(..(twos - 1).checked_mul(tile)?.checked_add(2)?)?;
            let skipped = (tile - 2) * size_of::<u32>();
            // SAFETY: a and b have as many elements, or are one without a step; there is room for their words.
            unsafe { widen_twos(a.as_ptr(), b.as_ptr(), to.as_mut_ptr(), twos, a_step, b_step, skipped) };
            (i, k) = (i + 2 * twos, k + 2 * twos);
        }
        if i < len {
            self.words.get_mut(k / 2 * tile + at)?.write(word(i)?);
        }
        Some(())
    }
}

/// # Safety
/// a and b point to `2 · twos` elements, a step of bytes apart, `to` to room for two words of each two elements, and
/// `skipped` bytes between those. `twos` is not 0.
#[unsafe(naked)]
unsafe extern "C" fn widen_twos(
    a: *const i8,
    b: *const i8,
    to: *mut MaybeUninit<u32>,
    twos: usize,
    a_step: usize,
    b_step: usize,
    skipped: usize,
) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "ldr r4, [sp, #20]",
        "mov r12, r4",
        "ldr r4, [sp, #24]",
        "mov lr, r4",
        "ldr r7, [sp, #28]",
        "2:",
        "ldrb r4, [r0]",
        "sxtb r4, r4",
        "add r0, r12",
        "ldrb r6, [r1]",
        "sxtb r6, r6",
        "add r1, lr",
        "lsls r6, r6, #16",
        "adds r4, r4, r6",
        "ldrb r5, [r0]",
        "sxtb r5, r5",
        "add r0, r12",
        "ldrb r6, [r1]",
        "sxtb r6, r6",
        "add r1, lr",
        "lsls r6, r6, #16",
        "adds r5, r5, r6",
        "stm r2!, {{r4, r5}}",
        "adds r2, r2, r7",
        "subs r3, r3, #1",
        "bne 2b",
        "pop {{r4-r7, pc}}",
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

/// Two weights, in eight bytes.
macro_rules! two_weights {
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
        )
    };
}

/// Two elements of two pixels.
macro_rules! two_of_two {
    ($first:literal, $second:literal) => {
        concat!(two_weights!($first, $second), two_of_a_pair!("r8", "r6"))
    };
}

/// Two elements of four pixels.
macro_rules! two_of_four {
    ($first:literal, $second:literal) => {
        concat!(two_of_two!($first, $second), two_of_a_pair!("r9", "r7"))
    };
}

/// The sums of a pair of pixels, with the bias in r0: that of the first, and in `$b` that of the second.
macro_rules! sums {
    ($all:literal, $b:literal, $first:literal, $second:literal) => {
        concat!(
            "lsls r1, ",
            $b,
            ", #16\n",
            "mov r2, ",
            $all,
            "\n",
            "subs r2, r2, r1\n",
            "adds r2, r2, r0\n",
            "adds ",
            $b,
            ", ",
            $b,
            ", r0\n",
            "mov ",
            $first,
            ", r2\n",
            "mov ",
            $second,
            ", ",
            $b,
            "\n",
        )
    };
}

/// The element of a pixel whose sum is in `$sum`, at r3, which is led to the next pixel.
macro_rules! end {
    ($sum:literal) => {
        concat!(
            "mov r0, ",
            $sum,
            "\n",
            requantize!("44", "r11", "r12"),
            "strb r0, [r3]
            ldr r1, [r4, #28]
            adds r3, r3, r1
            "
        )
    };
}

/// A loop over outputs.
type Run = unsafe extern "C" fn(&mut Conv);

/// A loop over outputs: how many bytes two elements take, the macro that makes them, what sums are made of, what elements.
macro_rules! outputs {
    ($name:ident, $bytes:literal, $two_elements:ident, $sums:expr, $ends:expr) => {
        /// # Safety
        /// x points to the words of a tile of pixels, w, `bias` and `requant` to those of all outputs, y to room for
        /// them. No count is 0.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(task: &mut Conv) {
            naked_asm!(
                enter!(),
                // Of eight weights, the loop begins with so many that whole turns are left. The first of an odd
                // number is loaded before it.
                "ldr r1, [r0, #8]",
                "movs r2, #7",
                "rsbs r3, r1, #0",
                "ands r3, r2",
                "str r3, [r0, #40]",
                "lsrs r2, r3, #1",
                concat!("movs r5, #", $bytes),
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
                $two_elements!("0", "1"),
                $two_elements!("2", "3"),
                $two_elements!("4", "5"),
                $two_elements!("6", "7"),
                "adds r5, r5, #8",
                "cmp r5, r10",
                "bne 3b",
                "ldr r4, [sp]",
                "ldr r3, [r4, #12]",
                "ldm r3!, {{r0}}",
                "str r3, [r4, #12]",
                $sums,
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
                $ends,
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
    };
}

outputs!(two_pixels, "22", two_of_two, sums!("r8", "r6", "r8", "r10"), concat!(end!("r8"), end!("r10")));

outputs!(
    four_pixels,
    "36",
    two_of_four,
    concat!(sums!("r8", "r6", "r8", "r10"), sums!("r9", "r7", "r9", "lr")),
    concat!(end!("r8"), end!("r10"), end!("r9"), end!("lr"))
);
