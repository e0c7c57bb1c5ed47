//! Depthwise convolutions of integers with one output a channel: the products of two taps of sixteen channels at a time.

use super::requantize::Outputs;
use crate::arch::wide::blocks::{Block, LEN, Room, Row, each_block};
use crate::arch::wide::{put, sixteen_of};
use crate::arch::{Image, OutputsI8};
use bytemuck::cast;
use core::arch::x86_64::*;

/// The most pairs of taps.
const MOST_PAIRS: usize = 32;

/// See [`Arch::depthwise_image_i8`](crate::arch::Arch::depthwise_image_i8). `None` for more than
/// one output of a channel, and for more taps than there is room for.
#[target_feature(enable = "avx2")]
pub(super) fn depthwise_image(
    room: &mut Room<i16>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([_, _, channels], [_, _, count]) = (image.x, image.y);
    let ([kh, kw], [dilation_h, dilation_w]) = (image.taps, image.dilation);
    if channels != count {
        return None;
    }
    let taps = kh * kw;
    let mut pairs = [[0; 2]; MOST_PAIRS];
    let pairs = pairs.get_mut(..taps.div_ceil(2))?;
    each_block(room, image, x, 1, |Block { seen, row, pixels, first }| {
        // The tap that is none sees what the first one sees: its weights are zero.
        for (tap, at) in pairs.as_flattened_mut().iter_mut().enumerate().take(taps) {
            *at = tap / kw * dilation_h * row + tap % kw * dilation_w * channels;
        }
        let y = y.get_mut(first * channels..)?;
        for c in tiles(channels) {
            let mut of_c = [[[0; LEN]; 2]; MOST_PAIRS];
            let of_c = of_c.get_mut(..pairs.len())?;
            interleave(w, channels, c, of_c);
            let run = Channels { seen: seen.get(c..)?, w: &*of_c, outputs: Outputs::of(outputs, c) };
            for (pixel, y) in pixels.iter().zip(y.chunks_exact_mut(channels)) {
                // Nearly all windows are of three rows and three columns.
                let elements = match pairs.first_chunk::<5>() {
                    Some(pairs) if of_c.len() == 5 => run.pixel(pairs, *pixel as usize)?,
                    _ => run.pixel(pairs, *pixel as usize)?,
                };
                put(elements, y.get_mut(c..)?);
            }
        }
        Some(())
    })
}

/// Where sixteen channels begin that are computed at once: the last of them early enough to be so many, if there are.
fn tiles(channels: usize) -> impl Iterator<Item = usize> {
    let last = channels.saturating_sub(LEN);
    (0..last).step_by(LEN).chain([last])
}

/// Weights of the two taps of each pair, side by side, of sixteen channels from c on; of channels and taps past the last
/// one, zeros.
#[target_feature(enable = "avx2")]
fn interleave(w: &[i8], channels: usize, c: usize, pairs: &mut [[Row<i16>; 2]]) {
    for (pair, to) in pairs.iter_mut().enumerate() {
        let of_tap = |tap: usize| {
            let w = w.get(tap * channels + c..).unwrap_or_default();
            let w = w.get(..channels - c).unwrap_or_default();
            _mm256_cvtepi8_epi16(cast(sixteen_of(w, 0)))
        };
        *to = two_taps(of_tap(2 * pair), of_tap(2 * pair + 1)).map(cast);
    }
}

/// Elements of two taps side by side: of channels 0 to 3 and 8 to 11, then of the others.
#[target_feature(enable = "avx2")]
#[inline]
fn two_taps(a: __m256i, b: __m256i) -> [__m256i; 2] {
    [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)]
}

/// Sixteen channels.
struct Channels<'a> {
    /// From the first of them on.
    seen: &'a [i16],
    /// For each pair.
    w: &'a [[Row<i16>; 2]],
    outputs: Outputs<'a>,
}

impl Channels<'_> {
    /// Those of the pixel whose first tap begins here.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn pixel(&self, pairs: &[[usize; 2]], at: usize) -> Option<[i8; LEN]> {
        let mut sums = [_mm256_setzero_si256(); 2];
        let seen = self.seen.get(at..)?;
        for (pair, w) in pairs.iter().zip(self.w) {
            let mut x = [_mm256_setzero_si256(); 2];
            for (x, tap) in x.iter_mut().zip(pair) {
                *x = cast(*seen.get(*tap..)?.first_chunk::<LEN>()?);
            }
            let [a, b] = x;
            for ((sum, x), w) in sums.iter_mut().zip(two_taps(a, b)).zip(w) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, cast(*w)));
            }
        }
        let [low, high] = sums;
        let (first, second) =
            (_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high));
        Some(self.outputs.elements([first, second]))
    }
}
