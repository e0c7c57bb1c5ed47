//! Depthwise convolution, in tiles of four channels of a pixel, for the pixels of a row that see the same
//! taps.
//!
//! What a tile multiplies and ends with is prepared once for all pixels, as a stream of words in the order
//! in which the loop reads it: what four sums begin with; for each tap the weights of channels 0 and 2, then
//! those of channels 1 and 3, with 16 bits each; for each channel what [`requantize!`] takes.

use super::requantize::{Bounds, READY_WORDS, ready};
use super::{Memory, sxtb16, sxtb16_ror8};
use crate::arch::{Image, OutputsI8};
use crate::fixed;
use crate::pieces::{pieces, pieces_mut};
use crate::window::{Span, Windows};
use core::arch::naked_asm;
use core::mem::MaybeUninit;

/// See [`Arch::depthwise_image_i8`](super::Arch::depthwise_image_i8).
pub(super) fn depthwise_image_i8(
    memory: &mut Memory,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let [_, width, channels] = image.x;
    let [kh, kw] = image.taps;
    if channels < 4 || !outputs.plain {
        return None;
    }
    let taps = kh.checked_mul(kw)?;
    let tile_words = taps.checked_mul(2)?.checked_add(4 + 4 * READY_WORDS)?;
    let kept = memory.kept();
    let words = memory.all_words();
    let most = words.len().checked_div(tile_words)?;
    if most == 0 {
        return None;
    }
    let x_tap = image.dilation[1].wrapping_mul(channels);
    let x_row = image.dilation[0].wrapping_mul(width).wrapping_mul(channels);
    let mut from = 0;
    while from < channels {
        let rest = channels - from;
        // The last tile begins early enough to be a whole one.
        let first = from.min(channels - 4);
        let tiles = (rest / 4).clamp(1, most);
        let stream = words.get_mut(..tiles * tile_words)?;
        let of_all = 4 * tiles == channels;
        if !of_all || kept != tiles * tile_words {
            for (tile, to) in pieces_mut(stream, tile_words).enumerate() {
                prepare(image, w, outputs, first + 4 * tile, to)?;
            }
        }
        let mut task = Depthwise {
            x: x.as_ptr(),
            x_step: image.stride[1].wrapping_mul(channels),
            y: y.as_mut_ptr(),
            y_step: channels,
            pixels: 0,
            y_len: 4 * tiles,
            stream: stream.as_ptr().cast(),
            x_tap,
            offset: u32::from((image.x_zero_point as i16).wrapping_neg() as u16).wrapping_mul(0x1_0001),
            x_row,
            x_back: 0,
            path: 0,
            rows: 0,
            columns: 0,
            x_rest: 0,
            w_before: 0,
            w_rest: 0,
            w_after: 0,
            bounds: Bounds::of(&outputs.y),
        };
        segments(image, |y_at, pixels, rows, columns| {
            if rows.count == 0 || columns.count == 0 {
                return None;
            }
            let x = x.get((rows.input * width + columns.input) * channels + first..)?;
            let last = (pixels - 1) * task.x_step + (rows.count - 1) * x_row + (columns.count - 1) * x_tap;
            x.get(last..)?.get(..task.y_len)?;
            let y = y.get_mut(y_at * channels + first..)?;
            y.get((pixels - 1) * channels..)?.get(..task.y_len)?;
            (task.x, task.y, task.pixels) = (x.as_ptr(), y.as_mut_ptr(), pixels);
            (task.rows, task.columns) = (rows.count, columns.count);
            task.x_back = (rows.count * x_row).wrapping_sub(4);
            task.path = match (columns.count, rows.count) {
                (3, 1..=3) if (kh, kw) == (rows.count, 3) => rows.count,
                (2, _) => Depthwise::TWO_TAPS,
                (3, _) => Depthwise::THREE_TAPS,
                _ => 0,
            };
            task.x_rest = x_row.wrapping_sub(columns.count * x_tap);
            let before = rows.tap * kw + columns.tap;
            let after = (kh - rows.tap - rows.count) * kw;
            task.w_before = 8 * before;
            task.w_rest = 8 * (kw - columns.count);
            // The last row is stepped over whole.
            task.w_after = (8 * after).wrapping_sub(8 * columns.tap);
            // SAFETY: x has the taps of all pixels and tiles, y has room for their outputs, and the stream has
            // `tiles` tiles of this many taps. No count is 0.
            unsafe { run(&task) };
            Some(())
        })?;
        from = first + 4 * tiles;
    }
    if channels <= 4 * most && channels.is_multiple_of(4) {
        memory.keep(channels / 4 * tile_words);
    }
    Some(())
}

/// Calls `f` for all pixels, as many of a row at once as see the same taps: with the number of the first
/// pixel, how many they are, and what the first sees.
fn segments(image: &Image, mut f: impl FnMut(usize, usize, Span, Span) -> Option<()>) -> Option<()> {
    let [oh, ow, _] = image.y;
    let [h_windows, w_windows] = image.windows();
    let inner = image.whole(1);
    for row in 0..oh {
        let rows = h_windows.span(row);
        let mut column = 0;
        while column < ow {
            let pixels = if column == inner.start && inner.end > column { inner.end - column } else { 1 };
            f(row * ow + column, pixels, rows, w_windows.span(column))?;
            column += pixels;
        }
    }
    Some(())
}

/// Puts the stream of four channels into `to`.
fn prepare(
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    first: usize,
    to: &mut [MaybeUninit<u32>],
) -> Option<()> {
    let (sums, to) = to.split_at_mut_checked(4)?;
    let (taps, ends) = to.split_at_mut_checked(to.len().checked_sub(4 * READY_WORDS)?)?;
    let mut start: [i32; 4] = *outputs.bias.get(first..)?.first_chunk()?;
    for (to, w) in taps.as_chunks_mut::<2>().0.iter_mut().zip(pieces(w, image.x[2])) {
        let w: [i8; 4] = *w.get(first..)?.first_chunk()?;
        // The bias has what taps without an input take off; here the offset is added to x.
        for (start, w) in start.iter_mut().zip(w) {
            *start = start.wrapping_add(image.x_zero_point.wrapping_mul(w.into()));
        }
        let word = u32::from_le_bytes(w.map(|w| w as u8));
        *to = [MaybeUninit::new(sxtb16(word)), MaybeUninit::new(sxtb16_ror8(word))];
    }
    sums.iter_mut().zip(start).for_each(|(to, sum)| *to = MaybeUninit::new(sum as u32));
    for (o, to) in (first..).zip(ends.as_chunks_mut::<READY_WORDS>().0) {
        *to = ready(fixed::of_output(outputs.requant, o)?, outputs.y.zero_point).map(MaybeUninit::new);
    }
    Some(())
}

/// The state of a loop over the pixels of a row that see the same taps. Steps are in bytes.
#[repr(C)]
struct Depthwise {
    x: *const i8,
    /// From a pixel to the next one.
    x_step: usize,
    y: *mut i8,
    y_step: usize,
    pixels: usize,
    /// Channels of all tiles.
    y_len: usize,
    stream: *const u32,
    x_tap: usize,
    offset: u32,
    x_row: usize,
    /// From the channels of a tile, a row past the last tap, back to those of the next one at the first tap.
    x_back: usize,
    /// How many rows of three taps there are, if these are all and at most three; else one of the paths, or 0.
    path: usize,
    rows: usize,
    columns: usize,
    /// From past the last tap of a row to the first one of the next.
    x_rest: usize,
    /// Weights to step over: before the first tap, after each row, after the last row.
    w_before: usize,
    w_rest: usize,
    w_after: usize,
    bounds: Bounds,
}

impl Depthwise {
    /// Rows of two taps.
    const TWO_TAPS: usize = 4;
    /// Rows of three taps.
    const THREE_TAPS: usize = 5;
}

/// Four channels of a tap, which lie at the address.
macro_rules! tap {
    ($at:literal) => {
        concat!(
            "ldr r8, ",
            $at,
            "
        ldrd r10, r11, [r1], #8
        sxtab16 r9, r3, r8, ror #8
        sxtab16 r8, r3, r8
        smlabb r4, r8, r10, r4
        smlabb r5, r9, r11, r5
        smlatt r6, r8, r10, r6
        smlatt r7, r9, r11, r7
        "
        )
    };
}

/// A row of three taps.
macro_rules! three_taps {
    () => {
        concat!(
            tap!("[r0]"),
            tap!("[r0, r2]"),
            tap!("[r0, r2, lsl #1]"),
            "add r0, r0, lr
        "
        )
    };
}

/// Keeps y, counts the rows in r12, steps over the weights before the first tap.
macro_rules! first_row {
    () => {
        "str r12, [sp]
        ldr r9, [sp, #36]
        ldr r12, [r9, #48]
        ldr r8, [r9, #60]
        add r1, r1, r8
        "
    };
}

/// Steps over the weights after a row, and goes to `$row` for the next one.
macro_rules! next_row {
    ($row:literal) => {
        concat!("ldr r8, [sp, #20]\n", "add r1, r1, r8\n", "subs r12, r12, #1\n", "bne ", $row, "\n")
    };
}

/// # Safety
/// At each tap of each pixel, x has the channels of all tiles; y has room for theirs; the stream is that of all
/// tiles. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn run(task: &Depthwise) {
    naked_asm!(
        dsp!(),
        "push {{r4-r11, lr}}",
        // On the stack: y of a tile that is not of whole rows of three, where the taps of a tile begin, what
        // leads back, whether there are bounds, the end of y; weights to step over, pixels, x, y, the task.
        "ldr r6, [r0, #64]",
        "ldr r7, [r0, #16]",
        "ldr r8, [r0]",
        "ldr r9, [r0, #8]",
        "mov r10, r0",
        "push {{r6-r10}}",
        "ldr r5, [r0, #40]",
        "ldr r6, [r0, #72]",
        "ldr r1, [r0, #44]",
        "adr.w r4, 10f",
        "cmp r1, #1",
        "blt 1f",
        "adr.w r4, 5f",
        "beq 1f",
        "adr.w r4, 4f",
        "cmp r1, #3",
        "blt 1f",
        "adr.w r4, 3f",
        "beq 1f",
        "adr.w r4, 13f",
        "cmp r1, #4",
        "beq 1f",
        "adr.w r4, 15f",
        "1:",
        "add r4, r4, #1",
        "push {{r3-r7}}",
        "ldrd r2, r3, [r0, #28]",
        "ldr lr, [r0, #36]",
        "2:",
        // A pixel.
        "ldr r9, [sp, #36]",
        "ldrd r0, r12, [sp, #28]",
        "ldr r1, [r9, #24]",
        "ldr r8, [r9, #20]",
        "add r8, r8, r12",
        "str r8, [sp, #16]",
        "20:",
        // A tile.
        "ldm r1!, {{r4-r7}}",
        "ldr pc, [sp, #4]",
        "3:",
        three_taps!(),
        "4:",
        three_taps!(),
        "5:",
        three_taps!(),
        "6:",
        "ldr r8, [sp, #8]",
        "sub r0, r0, r8",
        "ldm r1!, {{r8-r10}}",
        requantize!("r4", "r8", "r9", "r10", "r11"),
        "ldm r1!, {{r8-r10}}",
        requantize!("r5", "r8", "r9", "r10", "r11"),
        "ldm r1!, {{r8-r10}}",
        requantize!("r6", "r8", "r9", "r10", "r11"),
        "ldm r1!, {{r8-r10}}",
        requantize!("r7", "r8", "r9", "r10", "r11"),
        join_four!(),
        "ldr r8, [sp, #12]",
        "cmp r8, #0",
        "bne 8f",
        "7:",
        "str r4, [r12], #4",
        "ldr r8, [sp, #16]",
        "cmp r12, r8",
        "bne 20b",
        "ldr r8, [sp, #24]",
        "subs r8, r8, #1",
        "beq 9f",
        "str r8, [sp, #24]",
        "ldr r9, [sp, #36]",
        "ldrd r10, r11, [sp, #28]",
        "ldr r8, [r9, #4]",
        "add r10, r10, r8",
        "ldr r8, [r9, #12]",
        "add r11, r11, r8",
        "strd r10, r11, [sp, #28]",
        "b 2b",
        "8:",
        "ldr r9, [sp, #36]",
        "ldrd r8, r9, [r9, #76]",
        bound_bytes!("r4", "r8", "r9", "r10"),
        "b 7b",
        "9:",
        "add sp, sp, #40",
        "pop {{r4-r11, pc}}",
        // Any taps.
        "10:",
        first_row!(),
        "11:",
        "ldr r9, [sp, #36]",
        "ldr lr, [r9, #52]",
        "12:",
        tap!("[r0]"),
        "add r0, r0, r2",
        "subs lr, lr, #1",
        "bne 12b",
        "ldr r9, [sp, #36]",
        "ldr r8, [r9, #56]",
        "add r0, r0, r8",
        next_row!("11b"),
        "b 16f",
        "13:",
        first_row!(),
        "14:",
        tap!("[r0]"),
        tap!("[r0, r2]"),
        "add r0, r0, lr",
        next_row!("14b"),
        "b 16f",
        "15:",
        first_row!(),
        "17:",
        three_taps!(),
        next_row!("17b"),
        "16:",
        "ldr r9, [sp, #36]",
        "ldr r8, [r9, #68]",
        "add r1, r1, r8",
        "ldr r12, [sp]",
        "b 6b",
    )
}
