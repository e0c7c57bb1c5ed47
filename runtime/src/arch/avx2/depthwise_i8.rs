//! Depthwise convolutions of integers with one output a channel: the products of two taps of sixteen channels at a time.

use super::conv_i8::{Room, Row};
use super::requantize::{Multipliers, requantize};
use crate::arch::wide::{MOST_TAPS, PIXEL_ROOM, Rectangles, TAP_ROOM};
use crate::arch::{Image, OutputsI8};
use bytemuck::cast;
use core::arch::x86_64::*;
use core::mem::MaybeUninit;
use core::slice;

/// Channels that are computed at once.
const LEN: usize = 16;

/// See [`Arch::depthwise_image_i8`](crate::arch::Arch::depthwise_image_i8). `None` for fewer than sixteen channels, for
/// more than one output of each, and for more taps, or weights, than there is room for.
#[target_feature(enable = "avx2")]
pub(super) fn depthwise_image(
    room: &mut Room,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([_, _, channels], [_, _, count], [kh, kw]) = (image.x, image.y, image.taps);
    let last = channels.checked_sub(LEN).filter(|_| channels == count)?;
    let rectangles = Rectangles::of(image, false)?;
    let w = interleave(room, w, channels, kh * kw)?;
    let zero = [i8::try_from(image.x_zero_point).ok()?; LEN];
    let (mut taps, mut pixels) = (TAP_ROOM, PIXEL_ROOM);
    for rectangle in rectangles.each() {
        // Where the taps of each pair begin in x, if they are seen.
        let mut pairs = [[None; 2]; MOST_TAPS.div_ceil(2)];
        let (seen, _) = rectangles.taps(&rectangle, &mut taps);
        for [x_at, w_at] in seen.iter().map(|tap| tap.at()) {
            let tap = w_at.checked_div(channels)?;
            *pairs.get_mut(tap / 2)?.get_mut(tap % 2)? = Some(x_at);
        }
        let pairs = pairs.get(..(kh * kw).div_ceil(2))?;
        for first in (0..rectangle.len()).step_by(rectangles.most) {
            let pixels = rectangle.pixels(first, pixels.get_mut(..rectangles.most)?);
            let mut w = w;
            for c in (0..last).step_by(LEN).chain([last]) {
                let (of_c, after) = w.split_at_checked(pairs.len())?;
                w = after;
                let run = Channels {
                    c,
                    pairs,
                    w: of_c,
                    zero: &zero,
                    by: [Multipliers::of(outputs.requant, c), Multipliers::of(outputs.requant, c + 8)],
                    outputs,
                };
                for [x_at, y_at] in pixels.iter().map(|pixel| pixel.at()) {
                    let y = y.get_mut(y_at + c..)?.first_chunk_mut()?;
                    *y = run.pixel(x, x_at)?;
                }
            }
        }
    }
    Some(())
}

/// Weights of the two taps of each pair, side by side, channel by channel: of sixteen channels for all pairs, then of
/// the next. The last sixteen begin early enough to be so many.
#[target_feature(enable = "avx2")]
fn interleave<'r>(room: &'r mut Room, w: &[i8], channels: usize, taps: usize) -> Option<&'r [[Row; 2]]> {
    let last = channels.checked_sub(LEN)?;
    let all = channels.div_ceil(LEN) * taps.div_ceil(2);
    let Room(rows) = room;
    let (rows, _) = rows.as_chunks_mut::<2>();
    let mut to = rows.get_mut(..all)?.iter_mut();
    for c in (0..last).step_by(LEN).chain([last]) {
        for pair in 0..taps.div_ceil(2) {
            let of_tap = |tap: usize| -> Option<[i8; LEN]> {
                if tap < taps { w.get(tap * channels + c..)?.first_chunk().copied() } else { Some([0; LEN]) }
            };
            let pair = two_taps(of_tap(2 * pair)?, of_tap(2 * pair + 1)?);
            *to.next()? = pair.map(|half| MaybeUninit::new(cast(half)));
        }
    }
    // SAFETY: as many rows were just written: an item of `to` for each pair of each sixteen channels.
    Some(unsafe { slice::from_raw_parts(rows.as_ptr().cast(), all) })
}

/// Elements of two taps side by side: of channels 0 to 3 and 8 to 11, then of the others.
#[target_feature(enable = "avx2")]
#[inline]
fn two_taps(a: [i8; LEN], b: [i8; LEN]) -> [__m256i; 2] {
    let (a, b) = (_mm256_cvtepi8_epi16(cast(a)), _mm256_cvtepi8_epi16(cast(b)));
    [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)]
}

/// Sixteen channels from `c` on.
struct Channels<'a> {
    c: usize,
    pairs: &'a [[Option<usize>; 2]],
    w: &'a [[Row; 2]],
    /// What taps beside the image have.
    zero: &'a [i8; LEN],
    by: [Multipliers; 2],
    outputs: &'a OutputsI8<'a>,
}

impl Channels<'_> {
    /// Those of the pixel whose first tap begins here in x.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn pixel(&self, x: &[i8], x_at: usize) -> Option<[i8; LEN]> {
        let mut sums = [_mm256_setzero_si256(); 2];
        let start: &[i32; LEN] = self.outputs.bias.get(self.c..)?.first_chunk()?;
        for (pair, w) in self.pairs.iter().zip(self.w) {
            let mut of_x = [*self.zero; 2];
            for (of_x, tap) in of_x.iter_mut().zip(pair) {
                if let Some(tap) = tap {
                    *of_x = *x.get(x_at + tap + self.c..)?.first_chunk()?;
                }
            }
            let [a, b] = of_x;
            for ((sum, x), w) in sums.iter_mut().zip(two_taps(a, b)).zip(w) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, cast(*w)));
            }
        }
        let [low, high] = sums;
        let [start_low, start_high]: [__m256i; 2] = cast(*start);
        let (first, second) =
            (_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high));
        let sums = [_mm256_add_epi32(first, start_low), _mm256_add_epi32(second, start_high)];
        Some(requantize(sums, &self.by, &self.outputs.y))
    }
}
