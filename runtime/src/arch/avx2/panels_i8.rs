//! Convolutions of integers with weights in layout `panel16x4`: what a block of pixels sees is widened to 16 bits, and
//! four elements of it are multiplied with those of sixteen outputs, four outputs an instruction.

use super::conv_i8::{ELEMENTS, LEN as PIECE, Room};
use super::requantize::{Multipliers, requantize};
use crate::arch::{Image, OutputsI8, PANEL_LEN};
use crate::pieces::pieces;
use bytemuck::cast;
use core::arch::x86_64::*;

/// Elements of an output that are multiplied at once.
const GROUP: usize = 4;

/// Sums of sixteen outputs, two parts of each.
type Parts = [__m256i; 4];

/// Pixels of a tile: their sums fill half of the registers, and what is loaded the other half.
const PIXELS: usize = 2;

/// The most rows of taps.
const MOST_TAPS: usize = 16;

/// The most pixels of a block.
const MOST_PIXELS: usize = 256;

/// Widened elements that a block of more than a few pixels has: half of a first-level cache.
const BLOCK: usize = 8 * 1024;

/// See [`Arch::conv_image_in_panels_i8`](crate::arch::Arch::conv_image_in_panels_i8). `None` where a pixel sees more
/// than there is room for.
#[target_feature(enable = "avx2")]
pub(super) fn conv_image(
    room: &mut Room,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([_, _, channels], [kh, kw], [_, _, count]) = (image.x, image.taps, image.y);
    let panel_len = (kh * kw * channels).div_ceil(GROUP);
    let (w, _) = w.as_chunks();
    let weights = Weights { w, panel_len, outputs, count };
    // A tap has whole groups, and so has a row of taps side by side.
    if channels.is_multiple_of(GROUP) && image.dilation == [1; 2] && kh <= MOST_TAPS {
        weights.of_image(room, image, x, y)
    } else {
        weights.of_pixels(room, image, x, y)
    }
}

/// How many windows of so many taps there are in so many positions.
fn windows(positions: usize, taps: usize, stride: usize) -> usize {
    positions.checked_sub(taps).and_then(|rest| rest.checked_div(stride)).map_or(0, |more| more + 1)
}

/// What blocks of pixels are multiplied with.
#[derive(Clone, Copy)]
struct Weights<'a> {
    /// Panels of `panel_len` groups.
    w: &'a [[i8; PANEL_LEN * GROUP]],
    panel_len: usize,
    outputs: &'a OutputsI8<'a>,
    /// Number of outputs.
    count: usize,
}

impl Weights<'_> {
    /// A part of the image after the other is widened.
    #[target_feature(enable = "avx2")]
    fn of_image(self, room: &mut Room, image: &Image, x: &[i8], y: &mut [i8]) -> Option<()> {
        let ([_, _, channels], [kh, kw], [rows, columns, count]) = (image.x, image.taps, image.y);
        let ([stride_h, stride_w], zero) = (image.stride, i8::try_from(image.x_zero_point).ok()?);
        let across = |room: usize| windows(room / (kh * channels).max(1), kw, stride_w).min(columns);
        let most_columns = across(BLOCK).max(across(ELEMENTS).min(PIXELS)).min(MOST_PIXELS);
        let width = |columns: usize| (columns - 1) * stride_w + kw;
        let most_rows = match most_columns {
            0 => return None,
            _ if most_columns < columns => 1,
            _ => {
                let positions = BLOCK / (width(columns) * channels).max(1);
                windows(positions, kh, stride_h).min(MOST_PIXELS / columns).clamp(1, rows.max(1))
            }
        };
        let (mut taps, mut pixels) = ([0; MOST_TAPS], [0; MOST_PIXELS]);
        let taps = taps.get_mut(..kh)?;
        for row in (0..rows).step_by(most_rows) {
            let some_rows = most_rows.min(rows - row);
            for column in (0..columns).step_by(most_columns) {
                let some_columns = most_columns.min(columns - column);
                let width = width(some_columns);
                let size = [(some_rows - 1) * stride_h + kh, width];
                let seen = room.widen(image, x, zero, [row * stride_h, column * stride_w], size)?;
                taps.iter_mut().enumerate().for_each(|(tap, at)| *at = (tap * width * channels) as u32);
                let mut to = pixels.iter_mut();
                for row in 0..some_rows {
                    for (column, to) in (0..some_columns).zip(&mut to) {
                        *to = ((row * stride_h * width + column * stride_w) * channels) as u32;
                    }
                }
                let (first, some) = (row * columns + column, some_rows * some_columns);
                let block =
                    Block { seen, taps, len: kw * channels, pixels: pixels.get(..some)?, weights: self };
                block.run(y.get_mut(first * count..(first + some) * count)?)?;
            }
        }
        Some(())
    }

    /// What each pixel sees is put together.
    #[target_feature(enable = "avx2")]
    fn of_pixels(self, room: &mut Room, image: &Image, x: &[i8], y: &mut [i8]) -> Option<()> {
        let ([_, _, channels], [kh, kw], [rows, columns, count]) = (image.x, image.taps, image.y);
        let zero = i8::try_from(image.x_zero_point).ok()?;
        let pieces = (kh * kw * channels).div_ceil(PIECE);
        let len = pieces * PIECE;
        let of = |room: usize| room.checked_div(len).unwrap_or_default();
        let most = of(BLOCK).max(of(ELEMENTS).min(PIXELS)).min(MOST_PIXELS);
        if most == 0 {
            return None;
        }
        let mut pixels = [0; MOST_PIXELS];
        pixels.iter_mut().enumerate().for_each(|(pixel, at)| *at = (pixel * len) as u32);
        let all = rows * columns;
        for first in (0..all).step_by(most) {
            let some = most.min(all - first);
            let seen = room.see(image, x, zero, first..first + some, pieces)?.as_flattened();
            let pixels = pixels.get(..some)?;
            let block = Block { seen, taps: &[0], len: self.panel_len * GROUP, pixels, weights: self };
            block.run(y.get_mut(first * count..(first + some) * count)?)?;
        }
        Some(())
    }
}

/// Pixels, what they see, and weights.
struct Block<'a> {
    seen: &'a [i16],
    /// Where taps begin, from a pixel's first one on.
    taps: &'a [u32],
    /// Elements of a tap.
    len: usize,
    /// Where the first tap of each pixel begins.
    pixels: &'a [u32],
    weights: Weights<'a>,
}

impl Block<'_> {
    #[target_feature(enable = "avx2")]
    fn run(&self, y: &mut [i8]) -> Option<()> {
        match self.pixels.len() {
            1 => self.panels::<1>(y),
            _ => self.panels::<PIXELS>(y),
        }
    }

    #[target_feature(enable = "avx2")]
    fn panels<const P: usize>(&self, y: &mut [i8]) -> Option<()> {
        let last = self.pixels.len().checked_sub(P)?;
        let Weights { w, panel_len, outputs, count } = self.weights;
        let OutputsI8 { bias, requant, y: output, .. } = *outputs;
        for (first, w) in (0..count).step_by(PANEL_LEN).zip(pieces(w, panel_len)) {
            let by = [Multipliers::of(requant, first), Multipliers::of(requant, first + 8)];
            let mut start = [0; PANEL_LEN];
            start.iter_mut().zip(bias.get(first..)?).for_each(|(start, bias)| *start = *bias);
            let [start_low, start_high]: [__m256i; 2] = cast(start);
            let some = PANEL_LEN.min(count - first);
            // The last tile begins early enough to be a whole one.
            for at in (0..last).step_by(P).chain([last]) {
                let mut sums = [[_mm256_setzero_si256(); 4]; P];
                self.tile(self.pixels.get(at..)?.first_chunk()?, w, &mut sums)?;
                for (p, parts) in sums.into_iter().enumerate() {
                    let [low, high] = totals(parts);
                    let sums = [_mm256_add_epi32(low, start_low), _mm256_add_epi32(high, start_high)];
                    let elements = requantize(sums, &by, &output);
                    let y = y.get_mut((at + p) * count + first..)?;
                    match y.first_chunk_mut() {
                        Some(y) if some == PANEL_LEN => *y = elements,
                        _ => y.iter_mut().zip(elements).take(some).for_each(|(y, element)| *y = element),
                    }
                }
            }
        }
        Some(())
    }

    /// The products of some pixels with a panel.
    #[target_feature(enable = "avx2")]
    #[inline(never)]
    fn tile<const P: usize>(
        &self,
        pixels: &[u32; P],
        w: &[[i8; PANEL_LEN * GROUP]],
        sums: &mut [Parts; P],
    ) -> Option<()> {
        let mut acc = *sums;
        let mut w = w;
        for tap in self.taps {
            let (of_tap, after) = w.split_at_checked(self.len / GROUP)?;
            w = after;
            let mut x: [&[[i16; GROUP]]; P] = [&[]; P];
            for (x, pixel) in x.iter_mut().zip(pixels) {
                let at = (pixel + tap) as usize;
                *x = self.seen.get(at..)?.get(..self.len)?.as_chunks().0;
            }
            for (i, w) in of_tap.iter().enumerate() {
                let mut of_x = [_mm256_setzero_si256(); P];
                for (of_x, x) in of_x.iter_mut().zip(x) {
                    *of_x = _mm256_set1_epi64x(cast(*x.get(i)?));
                }
                let w: [[i8; 16]; 4] = cast(*w);
                for (o, w) in w.into_iter().enumerate() {
                    let w = _mm256_cvtepi8_epi16(cast(w));
                    for (acc, x) in acc.iter_mut().zip(of_x) {
                        let acc = acc.get_mut(o)?;
                        *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(x, w));
                    }
                }
            }
        }
        *sums = acc;
        Some(())
    }
}

/// The two parts of each sum added.
#[target_feature(enable = "avx2")]
#[inline]
fn totals([a, b, c, d]: Parts) -> [__m256i; 2] {
    // Sums of pairs of four registers' halves: outputs 0, 1, 4, 5, 2, 3, 6, 7.
    let order = |pairs| _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs);
    [order(_mm256_hadd_epi32(a, b)), order(_mm256_hadd_epi32(c, d))]
}
