//! Convolutions of integers with weights in layout `panel16x4`: what a block of pixels sees is widened to 16 bits, and
//! four elements of it are multiplied with those of sixteen outputs, four outputs an instruction.

use super::requantize::Outputs;
use super::widen::{self, LEN, Room, each_block};
use crate::arch::wide::put;
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

/// Elements of pixels that are put together at once.
const PUT: usize = 8 * 1024;

/// See [`Arch::conv_image_in_panels_i8`](crate::arch::Arch::conv_image_in_panels_i8). `None` where a pixel sees more
/// than there is room for, and for windows with spaces between their taps.
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
    if image.dilation != [1; 2] {
        return None;
    }
    let depth = kh * kw * channels;
    let (w, _) = w.as_chunks();
    let weights = Weights { w, panel_len: depth.div_ceil(GROUP), outputs, count };
    // A tap has whole groups, and so have the taps of a row, which are neighbours.
    if channels.is_multiple_of(GROUP) && kh <= MOST_TAPS {
        return each_block(room, image, x, PIXELS, |block| weights.of_rows(&block, [kh, kw * channels], y));
    }
    // Else taps of each pixel are put side by side.
    let len = depth.next_multiple_of(LEN);
    let mut put = [0; PUT];
    let mut pixels = [0; widen::MOST_PIXELS];
    pixels.iter_mut().enumerate().for_each(|(pixel, at)| *at = (pixel * len) as u32);
    let most = PUT.checked_div(len)?.min(pixels.len());
    if most == 0 {
        return None;
    }
    each_block(room, image, x, PIXELS, |block| {
        let mut first = block.first;
        for some in block.pixels.chunks(most) {
            for (put, pixel) in put.chunks_exact_mut(len).zip(some) {
                put_together(block.seen.get(*pixel as usize..)?, block.row, [kh, kw * channels], put)?;
            }
            let pixels = pixels.get(..some.len())?;
            let seen = put.get(..)?;
            let products = Products { seen, taps: &[0], len: weights.panel_len * GROUP, pixels, weights };
            products.run(y.get_mut(first * count..)?.get_mut(..some.len() * count)?)?;
            first += some.len();
        }
        Some(())
    })
}

/// Rows of taps of a pixel, one after the other. What follows the last one is of no use: its weights are zero.
#[target_feature(enable = "avx2")]
#[inline]
fn put_together(seen: &[i16], seen_row: usize, [rows, row]: [usize; 2], put: &mut [i16]) -> Option<()> {
    for tap in 0..rows {
        let from = seen.get(tap * seen_row..)?;
        let to = put.get_mut(tap * row..)?;
        match (from.first_chunk::<LEN>(), to.first_chunk_mut::<LEN>()) {
            // The next row goes over what is too much.
            (Some(from), Some(to)) if row <= LEN => *to = *from,
            _ => to.get_mut(..row)?.copy_from_slice(from.get(..row)?),
        }
    }
    Some(())
}

/// What pixels are multiplied with.
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
    /// Pixels whose taps are rows of so many elements.
    #[target_feature(enable = "avx2")]
    fn of_rows(self, block: &widen::Block<'_>, [rows, len]: [usize; 2], y: &mut [i8]) -> Option<()> {
        let &widen::Block { seen, row, pixels, first } = block;
        let mut taps = [0; MOST_TAPS];
        taps.iter_mut().enumerate().for_each(|(tap, at)| *at = (tap * row) as u32);
        let products = Products { seen, taps: taps.get(..rows)?, len, pixels, weights: self };
        products.run(y.get_mut(first * self.count..)?.get_mut(..pixels.len() * self.count)?)
    }
}

/// Pixels, what they see, and weights.
struct Products<'a> {
    seen: &'a [i16],
    /// Where taps begin, from a pixel's first one on.
    taps: &'a [u32],
    /// Elements of a tap.
    len: usize,
    /// Where the first tap of each pixel begins.
    pixels: &'a [u32],
    weights: Weights<'a>,
}

impl Products<'_> {
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
        for (first, w) in (0..count).step_by(PANEL_LEN).zip(pieces(w, panel_len)) {
            let (outputs, end) = (Outputs::of(outputs, first), count.min(first + PANEL_LEN));
            // The last tile begins early enough to be a whole one.
            for at in (0..last).step_by(P).chain([last]) {
                let mut sums = [[_mm256_setzero_si256(); 4]; P];
                self.tile(self.pixels.get(at..)?.first_chunk()?, w, &mut sums)?;
                for (p, parts) in sums.into_iter().enumerate() {
                    let pixel = (at + p) * count;
                    put(outputs.elements(totals(parts)), y.get_mut(pixel + first..pixel + end)?);
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
        let groups = self.len / GROUP;
        for tap in self.taps {
            let (of_tap, after) = w.split_at_checked(groups)?;
            w = after;
            let mut x: [&[[i16; GROUP]]; P] = [&[]; P];
            for (x, pixel) in x.iter_mut().zip(pixels) {
                let at = (pixel + tap) as usize;
                *x = self.seen.get(at..)?.as_chunks().0.get(..groups)?;
            }
            for i in 0..groups {
                let mut of_x = [_mm256_setzero_si256(); P];
                for (of_x, x) in of_x.iter_mut().zip(x) {
                    *of_x = _mm256_set1_epi64x(cast(*x.get(i)?));
                }
                let w: [[i8; 16]; 4] = cast(*of_tap.get(i)?);
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
