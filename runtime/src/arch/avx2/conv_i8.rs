//! Convolutions of integers: what some pixels see is put together, widened to 16 bits, and multiplied with rows of
//! weights, sixteen pairs of elements an instruction.

use super::requantize::Outputs;
use crate::arch::wide::blocks::{LEN, Room, Row, Seen};
use crate::arch::wide::{Places, Rounding};
use crate::arch::{Image, OutputsI8};
use crate::window::{Span, Windows};
use bytemuck::cast;
use core::arch::x86_64::*;
use core::mem::MaybeUninit;

/// Outputs whose sums become elements of y at once.
const OUTPUTS: usize = 16;

/// Outputs and pixels that are multiplied with each other: their sums and what is loaded fill the registers.
const TILE: usize = 2;
const PIXELS: usize = 4;

/// See [`Arch::conv_image_i8`](crate::arch::Arch::conv_image_i8). `None` where a pixel sees more than there is room for.
#[target_feature(enable = "avx2,fma")]
pub(in crate::arch) fn conv_image(
    room: &mut Room<i16>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([_, _, channels], [kh, kw], [rows, columns, count]) = (image.x, image.taps, image.y);
    let depth = kh * kw * channels;
    let pieces = depth.div_ceil(LEN);
    let pixels = rows * columns;
    let most = room.0.len().checked_div(pieces)?.min(pixels);
    if most < pixels.min(PIXELS) {
        return None;
    }
    // Whole tiles.
    let most = if most > PIXELS { most - most % PIXELS } else { most };
    for first in (0..pixels).step_by(most) {
        let some = most.min(pixels - first);
        let seen = see(&mut room.0, image, x, first..first + some, pieces)?;
        let products = Products { seen, pieces, w, depth, outputs, count };
        let y = y.get_mut(first * count..(first + some) * count)?;
        match some {
            1 => products.run::<1, 4>(y)?,
            2 | 3 => products.run::<2, 4>(y)?,
            _ => products.run::<PIXELS, TILE>(y)?,
        }
    }
    Some(())
}

/// What these pixels see of x, each so many pieces.
#[target_feature(enable = "avx2,fma")]
fn see<'r>(
    room: &'r mut [MaybeUninit<Row<i16>>],
    image: &Image,
    x: &[i8],
    pixels: core::ops::Range<usize>,
    pieces: usize,
) -> Option<&'r [Row<i16>]> {
    let ([_, width, channels], [_, columns, _], [kh, kw]) = (image.x, image.y, image.taps);
    let zero = i8::try_from(image.x_zero_point).ok()?;
    let [h_windows, w_windows] = image.windows();
    let [dilation_h, dilation_w] = image.dilation;
    let all = pieces * pixels.len();
    let mut seen = Seen::in_room(room.get_mut(..all)?);
    let (mut row_at, mut column_at) = (pixels.start / columns.max(1), pixels.start % columns.max(1));
    for _ in pixels {
        let (row, column) = (h_windows.span(row_at), w_windows.span(column_at));
        let at = (row.input * width + column.input) * channels;
        if kh * kw == 1 && row.count * column.count == 1 {
            seen.take(x.get(at..)?.get(..channels)?)?;
        } else {
            for tap in 0..kh {
                match tap.checked_sub(row.tap).filter(|tap| *tap < row.count) {
                    None => seen.fill(zero, kw * channels)?,
                    Some(tap) => {
                        let x = x.get(at + tap * dilation_h * width * channels..)?;
                        see_row(&mut seen, x, zero, &column, kw, channels, dilation_w)?;
                    }
                }
            }
        }
        seen.end_row()?;
        column_at += 1;
        if column_at == columns {
            (row_at, column_at) = (row_at + 1, 0);
        }
    }
    Some(seen.written(all * LEN)?.as_chunks().0)
}

/// The taps of a row.
#[inline(always)]
fn see_row(
    seen: &mut Seen<'_, i16>,
    x: &[i8],
    zero: i8,
    column: &Span,
    kw: usize,
    channels: usize,
    dilation: usize,
) -> Option<()> {
    seen.fill(zero, column.tap * channels)?;
    if dilation == 1 {
        seen.take(x.get(..column.count * channels)?)?;
    } else {
        for tap in 0..column.count {
            seen.take(x.get(tap * dilation * channels..)?.get(..channels)?)?;
        }
    }
    seen.fill(zero, (kw - column.tap - column.count) * channels)
}

/// What some pixels see, and weights.
struct Products<'a> {
    /// For each pixel so many pieces.
    seen: &'a [Row<i16>],
    pieces: usize,
    /// Rows of `depth` elements.
    w: &'a [i8],
    depth: usize,
    outputs: &'a OutputsI8<'a>,
    /// Number of outputs.
    count: usize,
}

impl Products<'_> {
    /// All outputs, `P` pixels and `O` outputs at a time.
    #[target_feature(enable = "avx2,fma")]
    fn run<const P: usize, const O: usize>(&self, y: &mut [i8]) -> Option<()> {
        let pixels = y.len().checked_div(self.count)?;
        let last = pixels.checked_sub(P)?;
        for first in (0..self.count).step_by(OUTPUTS) {
            let (outputs, end) = (Outputs::of(self.outputs, first), self.count.min(first + OUTPUTS));
            // The last tile begins early enough to be a whole one.
            for at in (0..last).step_by(P).chain([last]) {
                let mut x: [&[Row<i16>]; P] = [&[]; P];
                for (p, x) in x.iter_mut().enumerate() {
                    *x = self.seen.get((at + p) * self.pieces..)?.get(..self.pieces)?;
                }
                let mut sums = [[0i32; OUTPUTS]; P];
                for of_tile in (0..end - first).step_by(O) {
                    let mut totals = [[0; O]; P];
                    tile(self, &x, first + of_tile, &mut totals)?;
                    for (sums, totals) in sums.iter_mut().zip(totals) {
                        *sums.get_mut(of_tile..)?.first_chunk_mut()? = totals;
                    }
                }
                let y = y.get_mut(at * self.count + first..)?;
                outputs.put(&sums.map(cast), Places { y, stride: self.count, len: end - first })?;
            }
        }
        Some(())
    }
}

/// The sums of outputs from `first` on; past the last one they are of no use.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn tile<const P: usize, const O: usize>(
    of: &Products<'_>,
    x: &[&[Row<i16>]; P],
    first: usize,
    totals: &mut [[i32; O]; P],
) -> Option<()> {
    let mut sums = [[_mm256_setzero_si256(); O]; P];
    let mut w: [&[i8]; O] = [&[]; O];
    for (o, w) in w.iter_mut().enumerate() {
        *w = of.w.get((first + o).min(of.count - 1) * of.depth..)?;
    }
    let whole = of.depth / LEN;
    // What follows a row is multiplied with zeros.
    let (mut pieces, mut rest): ([&[[i8; LEN]]; O], [[i8; LEN]; O]) = ([&[]; O], [[0; LEN]; O]);
    for ((pieces, rest), w) in pieces.iter_mut().zip(&mut rest).zip(w) {
        *pieces = w.as_chunks().0.get(..whole)?;
        let w = w.get(whole * LEN..)?;
        match w.first_chunk() {
            Some(w) => *rest = *w,
            None => rest.iter_mut().zip(w).for_each(|(to, w)| *to = *w),
        }
    }
    for piece in 0..of.pieces {
        let mut w = [_mm256_setzero_si256(); O];
        for ((wide, w), rest) in w.iter_mut().zip(pieces).zip(&rest) {
            *wide = _mm256_cvtepi8_epi16(cast(*w.get(piece).unwrap_or(rest)));
        }
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = cast(*x.get(piece)?);
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, w));
            }
        }
    }
    let (fours, _) = sums.as_flattened().as_chunks::<4>();
    let (totals, _) = totals.as_flattened_mut().as_chunks_mut::<4>();
    for (totals, &[a, b, c, d]) in totals.iter_mut().zip(fours) {
        let halves = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        *totals = cast(_mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves)));
    }
    Some(())
}
