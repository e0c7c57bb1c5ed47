//! Convolutions of integers: what some pixels see is put together, widened to 16 bits, and multiplied with rows of
//! weights, sixteen pairs of elements an instruction.

use super::requantize::{Multipliers, requantize};
use crate::arch::{Image, OutputsI8, Quad, Scratch};
use crate::window::{Span, Windows};
use bytemuck::cast;
use core::arch::x86_64::*;
use core::mem::MaybeUninit;
use core::slice;

/// Elements that are multiplied at once.
pub(super) const LEN: usize = 16;

/// What a pixel sees, in pieces that are multiplied at once; the last one ends with zeros.
pub(super) type Row = [i16; LEN];

/// Pieces that there is room for: 128 KiB.
const MOST: usize = 4096;

/// Elements that there is room for.
pub(super) const ELEMENTS: usize = MOST * LEN;

/// Outputs whose sums become elements of y at once.
const OUTPUTS: usize = 16;

/// Outputs and pixels that are multiplied with each other: their sums and what is loaded fill the registers.
const TILE: usize = 2;
const PIXELS: usize = 4;

/// Memory for what pixels see.
#[derive(Debug)]
pub(crate) struct Room(pub(super) [MaybeUninit<Row>; MOST]);

impl Scratch for Room {
    #[inline(always)]
    fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; MOST])
    }

    fn quads(&mut self, _: usize) -> &[Quad] {
        &[]
    }

    fn words(&mut self, _: usize) -> &mut [i32] {
        &mut []
    }
}

/// See [`Arch::conv_image_i8`](crate::arch::Arch::conv_image_i8). `None` where a pixel sees more than there is room for.
#[target_feature(enable = "avx2")]
pub(super) fn conv_image(
    room: &mut Room,
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
    let most = (MOST / pieces.max(1)).min(pixels);
    if most < pixels.min(PIXELS) {
        return None;
    }
    // Whole tiles.
    let most = if most > PIXELS { most - most % PIXELS } else { most };
    let zero = i8::try_from(image.x_zero_point).ok()?;
    for first in (0..pixels).step_by(most) {
        let some = most.min(pixels - first);
        let seen = room.see(image, x, zero, first..first + some, pieces)?;
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

impl Room {
    /// What these pixels see of x.
    #[target_feature(enable = "avx2")]
    pub(super) fn see(
        &mut self,
        image: &Image,
        x: &[i8],
        zero: i8,
        pixels: core::ops::Range<usize>,
        pieces: usize,
    ) -> Option<&[Row]> {
        let ([_, width, channels], [_, columns, _], [kh, kw]) = (image.x, image.y, image.taps);
        let [h_windows, w_windows] = image.windows();
        let [dilation_h, dilation_w] = image.dilation;
        let all = pieces * pixels.len();
        let room = self.0.get_mut(..all)?;
        let (mut row_at, mut column_at) = (pixels.start / columns.max(1), pixels.start % columns.max(1));
        for room in room.chunks_exact_mut(pieces.max(1)) {
            let (row, column) = (h_windows.span(row_at), w_windows.span(column_at));
            let mut seen = Seen { room, len: 0 };
            let at = (row.input * width + column.input) * channels;
            if kh * kw == 1 && row.count * column.count == 1 {
                seen.take(x.get(at..)?.get(..channels)?)?;
            } else {
                for tap in 0..kh {
                    match tap.checked_sub(row.tap).filter(|tap| *tap < row.count) {
                        None => seen.fill(zero, kw * channels)?,
                        Some(tap) => {
                            let x = x.get(at + tap * dilation_h * width * channels..)?;
                            seen.row(x, zero, &column, kw, channels, dilation_w)?;
                        }
                    }
                }
            }
            seen.end()?;
            column_at += 1;
            if column_at == columns {
                (row_at, column_at) = (row_at + 1, 0);
            }
        }
        // SAFETY: `end` has seen each pixel's pieces written to their last.
        Some(unsafe { slice::from_raw_parts(self.0.as_ptr().cast(), all) })
    }
}

impl Room {
    /// A part of an image, with what taps beside it have: from here on, in rows and columns from the first window's first
    /// tap, of so many rows and columns.
    #[target_feature(enable = "avx2")]
    pub(super) fn widen(
        &mut self,
        image: &Image,
        x: &[i8],
        zero: i8,
        [first_row, first_column]: [usize; 2],
        [rows, columns]: [usize; 2],
    ) -> Option<&[i16]> {
        let ([height, width, channels], [pad_h, pad_w]) = (image.x, image.pad);
        let all = rows * columns * channels;
        let mut seen = Seen { room: self.0.get_mut(..all.div_ceil(LEN))?, len: 0 };
        // Columns before, in, and after the image.
        let before = pad_w.saturating_sub(first_column).min(columns);
        let from = (first_column + before).saturating_sub(pad_w);
        let inside = width.saturating_sub(from).min(columns - before);
        let after = columns - before - inside;
        for row in first_row..first_row + rows {
            match row.checked_sub(pad_h).filter(|row| *row < height) {
                None => seen.fill(zero, columns * channels)?,
                Some(row) => {
                    let x = x.get((row * width + from) * channels..)?.get(..inside * channels)?;
                    seen.fill(zero, before * channels)?;
                    seen.take(x)?;
                    seen.fill(zero, after * channels)?;
                }
            }
        }
        // SAFETY: all of these were written, one after the other.
        Some(unsafe { slice::from_raw_parts(self.0.as_ptr().cast(), all) })
    }
}

/// What a pixel sees, as far as it is written.
struct Seen<'a> {
    room: &'a mut [MaybeUninit<Row>],
    /// Elements that are written.
    len: usize,
}

impl Seen<'_> {
    /// The taps of a row.
    #[inline(always)]
    fn row(
        &mut self,
        x: &[i8],
        zero: i8,
        column: &Span,
        kw: usize,
        channels: usize,
        dilation: usize,
    ) -> Option<()> {
        self.fill(zero, column.tap * channels)?;
        if dilation == 1 {
            self.take(x.get(..column.count * channels)?)?;
        } else {
            for tap in 0..column.count {
                self.take(x.get(tap * dilation * channels..)?.get(..channels)?)?;
            }
        }
        self.fill(zero, (kw - column.tap - column.count) * channels)
    }

    /// More elements.
    #[inline(always)]
    fn take(&mut self, x: &[i8]) -> Option<()> {
        let room = self.elements(x.len())?;
        let (room_pieces, room_rest) = room.as_chunks_mut::<LEN>();
        let (pieces, rest) = x.as_chunks::<LEN>();
        for (to, from) in room_pieces.iter_mut().zip(pieces) {
            *to = from.map(|x| MaybeUninit::new(x.into()));
        }
        room_rest.iter_mut().zip(rest).for_each(|(to, from)| *to = MaybeUninit::new((*from).into()));
        self.len += x.len();
        Some(())
    }

    /// The same element so many times.
    #[inline(always)]
    fn fill(&mut self, x: i8, count: usize) -> Option<()> {
        self.elements(count)?.fill(MaybeUninit::new(x.into()));
        self.len += count;
        Some(())
    }

    /// Room for so many more elements.
    #[inline(always)]
    fn elements(&mut self, count: usize) -> Option<&mut [MaybeUninit<i16>]> {
        let all = self.room.len() * LEN;
        // SAFETY: pieces are their elements one after the other, none of which need be written.
        let elements = unsafe { slice::from_raw_parts_mut(self.room.as_mut_ptr().cast(), all) };
        elements.get_mut(self.len..)?.get_mut(..count)
    }

    /// Ends the last piece with zeros. `None` if that is not the last one that there is room for.
    #[inline(always)]
    fn end(mut self) -> Option<()> {
        let all = self.room.len() * LEN;
        let rest = all.checked_sub(self.len).filter(|rest| *rest < LEN)?;
        self.fill(0, rest)
    }
}

/// What some pixels see, and weights.
struct Products<'a> {
    /// For each pixel so many pieces.
    seen: &'a [Row],
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
    #[target_feature(enable = "avx2")]
    fn run<const P: usize, const O: usize>(&self, y: &mut [i8]) -> Option<()> {
        let pixels = y.len().checked_div(self.count)?;
        let last = pixels.checked_sub(P)?;
        let OutputsI8 { bias, requant, y: output, .. } = *self.outputs;
        for first in (0..self.count).step_by(OUTPUTS) {
            let by = [Multipliers::of(requant, first), Multipliers::of(requant, first + 8)];
            let mut start = [0; OUTPUTS];
            start.iter_mut().zip(bias.get(first..)?).for_each(|(start, bias)| *start = *bias);
            let [start_low, start_high]: [__m256i; 2] = cast(start);
            let some = OUTPUTS.min(self.count - first);
            // The last tile begins early enough to be a whole one.
            for at in (0..last).step_by(P).chain([last]) {
                let mut x: [&[Row]; P] = [&[]; P];
                for (p, x) in x.iter_mut().enumerate() {
                    *x = self.seen.get((at + p) * self.pieces..)?.get(..self.pieces)?;
                }
                let mut sums = [[0i32; OUTPUTS]; P];
                for of_tile in (0..some).step_by(O) {
                    let mut totals = [[0; O]; P];
                    tile(self, &x, first + of_tile, &mut totals)?;
                    for (sums, totals) in sums.iter_mut().zip(totals) {
                        *sums.get_mut(of_tile..)?.first_chunk_mut()? = totals;
                    }
                }
                for (p, sums) in sums.into_iter().enumerate() {
                    let [low, high]: [__m256i; 2] = cast(sums);
                    let sums = [_mm256_add_epi32(low, start_low), _mm256_add_epi32(high, start_high)];
                    let elements = requantize(sums, &by, &output);
                    let y = y.get_mut((at + p) * self.count + first..)?;
                    match y.first_chunk_mut() {
                        Some(y) if some == OUTPUTS => *y = elements,
                        _ => y.iter_mut().zip(elements).take(some).for_each(|(y, element)| *y = element),
                    }
                }
            }
        }
        Some(())
    }
}

/// The sums of outputs from `first` on; past the last one they are of no use.
#[target_feature(enable = "avx2")]
#[inline]
fn tile<const P: usize, const O: usize>(
    of: &Products<'_>,
    x: &[&[Row]; P],
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
