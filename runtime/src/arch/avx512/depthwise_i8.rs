//! Depthwise convolutions of integers with one output a channel: of sixteen channels, taps that lie below each other are
//! put side by side, four at a time, and multiplied at once.

use super::requantize::{Multipliers, bias};
use super::unsigned::{ABOVE, all_above};
use crate::arch::wide::blocks::{Room, Row, Rows, Seen};
use crate::arch::wide::{put, sixteen_of, tiles};
use crate::arch::{Image, OutputsI8, PANEL_LEN};
use bytemuck::{Pod, Zeroable, cast};
use core::arch::x86_64::*;
use flatpack_format::ops::Multiplier;

/// Taps that are multiplied at once.
const TAPS: usize = 4;

/// The most weights of a channel, in so many taps.
const MOST_WEIGHTS: usize = 32;

/// Taps of a channel that lie below each other, without signs.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Column([u8; TAPS]);

impl From<i8> for Column {
    #[inline(always)]
    fn from(x: i8) -> Self {
        Self([x as u8 ^ ABOVE; TAPS])
    }
}

/// See [`Arch::depthwise_image_i8`](crate::arch::Arch::depthwise_image_i8). `None` for more than one output of a channel,
/// for large windows, and for images that are too wide.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn depthwise_image(
    room: &mut Room<i16>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let [_, _, channels] = image.x;
    if channels < PANEL_LEN {
        let done = side_by_side_pixels(room.rows(), image, w, outputs, x, y);
        if done.is_some() {
            return done;
        }
        sixteen_or_fewer::<false>(room.rows(), image, w, outputs, x, y)
    } else {
        sixteen_or_fewer::<true>(room.rows(), image, w, outputs, x, y)
    }
}

/// Elements of a row of an image with what taps beside it have.
const MOST_OF_ROW: usize = 2048;

/// Pixels of which a few fill sixteen places. `None` for other numbers of channels, windows that do not follow each other
/// pixel by pixel, or have more than four taps below each other, and for images that are too wide or too narrow.
// Not inlined: what is inlined into a function that is too large is less.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline(never)]
fn side_by_side_pixels(
    room: &mut Rows<Column>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([height, width, channels], [rows, columns, count]) = (image.x, image.y);
    let ([kh, kw], [stride_h, stride_w], [dilation_h, dilation_w]) =
        (image.taps, image.stride, image.dilation);
    let together = PANEL_LEN.checked_div(channels)?;
    let seen_columns = columns + (kw - 1) * dilation_w;
    let last = columns.checked_sub(together)?;
    let small = seen_columns * channels + PANEL_LEN <= MOST_OF_ROW && kh <= TAPS && kw <= MOST_WEIGHTS;
    if channels != count || together * channels != PANEL_LEN || stride_w != 1 || !small {
        return None;
    }
    let [pad_h, pad_w] = image.pad;
    let zero = i8::try_from(image.x_zero_point).ok()?;
    let before = pad_w.min(seen_columns);
    let inside = width.min(seen_columns - before) * channels;

    let (mut bias, mut requant) = ([0; PANEL_LEN], [Multiplier::zeroed(); PANEL_LEN]);
    for (at, (bias, requant)) in bias.iter_mut().zip(&mut requant).enumerate() {
        *bias = outputs.bias.get(at % channels).copied().unwrap_or_default();
        *requant = *outputs.requant.get(at % channels).or(outputs.requant.first())?;
    }
    let by = Multipliers::of(&OutputsI8 { bias: &bias, requant: &requant, ..*outputs }, 0);
    let mut start: __m512i = cast(bias);
    let mut weights = [_mm512_setzero_si512(); MOST_WEIGHTS];
    let weights = weights.get_mut(..kw)?;
    for (column, to) in weights.iter_mut().enumerate() {
        let mut group = [[0; TAPS]; PANEL_LEN];
        for (at, group) in group.iter_mut().enumerate() {
            for (tap, to) in group.iter_mut().enumerate().take(kh) {
                *to = *w.get((tap * kw + column) * channels + at % channels)?;
            }
        }
        *to = cast(group);
        start = _mm512_sub_epi32(start, _mm512_dpbusd_epi32(_mm512_setzero_si512(), all_above(), *to));
    }

    let mut of_taps = [[zero; MOST_OF_ROW]; TAPS];
    for row in 0..rows {
        for (tap, to) in of_taps.iter_mut().enumerate().take(kh) {
            let to = to.get_mut(before * channels..)?.get_mut(..inside)?;
            match (row * stride_h + tap * dilation_h).checked_sub(pad_h).filter(|row| *row < height) {
                None => to.fill(zero),
                Some(row) => to.copy_from_slice(x.get(row * width * channels..)?.get(..inside)?),
            }
        }
        let mut seen = Seen::in_room(room.get_mut(..seen_columns)?);
        for column in 0..seen_columns {
            let [a, b, c, d] = &of_taps;
            let at = column * channels..column * channels + PANEL_LEN;
            let (a, b, c) = (a.get(at.clone())?, b.get(at.clone())?, c.get(at.clone())?);
            let (a, b, c) = (*a.first_chunk()?, *b.first_chunk()?, *c.first_chunk()?);
            seen.row(if kh == 3 {
                side_by_side([a, b, c])
            } else {
                side_by_side([a, b, c, *d.get(at)?.first_chunk()?])
            })?;
        }
        let (seen, _) = seen.written(seen_columns * PANEL_LEN)?.as_chunks::<PANEL_LEN>();
        let y = y.get_mut(row * columns * channels..)?;
        // The last ones begin early enough to be whole.
        for column in (0..last).step_by(together).chain([last]) {
            let mut sums = start;
            for (tap, w) in weights.iter().enumerate() {
                sums = _mm512_dpbusd_epi32(sums, cast(*seen.get(column + tap * dilation_w)?), *w);
            }
            *y.get_mut(column * channels..)?.first_chunk_mut()? = by.requantize(sums);
        }
    }
    Some(())
}

/// Sixteen channels at a time, or all of them if there are fewer.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn sixteen_or_fewer<const SIXTEEN: bool>(
    room: &mut Rows<Column>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([_, _, channels], [rows, columns, count]) = (image.x, image.y);
    let ([kh, kw], [stride_h, stride_w], [_, dilation_w]) = (image.taps, image.stride, image.dilation);
    let groups = kh.div_ceil(TAPS);
    if channels != count || groups * kw > MOST_WEIGHTS {
        return None;
    }
    let width = columns.saturating_sub(1) * stride_w + (kw - 1) * dilation_w + 1;
    let mut weights = [_mm512_setzero_si512(); MOST_WEIGHTS];
    let weights = weights.get_mut(..groups * kw)?;
    for c in tiles(channels) {
        for (at, to) in weights.iter_mut().enumerate() {
            *to = below_each_other(w, [kh, kw, channels], [at / kw * TAPS, at % kw, c])?;
        }
        let mut too_much = _mm512_setzero_si512();
        for w in &*weights {
            too_much = _mm512_dpbusd_epi32(too_much, all_above(), *w);
        }
        let start = _mm512_sub_epi32(bias(outputs, c), too_much);
        let by = Multipliers::of(outputs, c);
        for row in 0..rows {
            let seen = see::<SIXTEEN>(room, image, x, c, [row * stride_h, width])?;
            let y = y.get_mut(row * columns * channels..)?;
            let pixels = (0..columns).zip(y.chunks_exact_mut(channels));
            if let (&mut [w0, w1, w2], 1) = (&mut *weights, dilation_w) {
                for (column, y) in pixels {
                    let &[x0, x1, x2] = seen.get(column * stride_w..)?.first_chunk()?;
                    let sums = _mm512_dpbusd_epi32(start, cast(x0), w0);
                    let sums = _mm512_dpbusd_epi32(sums, cast(x1), w1);
                    let sums = _mm512_dpbusd_epi32(sums, cast(x2), w2);
                    put_channels::<SIXTEEN>(by.requantize(sums), y.get_mut(c..)?)?;
                }
                continue;
            }
            for (column, y) in pixels {
                let mut sums = start;
                for (seen, w) in seen.chunks_exact(width).zip(weights.chunks_exact(kw.max(1))) {
                    let seen = seen.get(column * stride_w..)?;
                    for (seen, w) in seen.iter().step_by(dilation_w.max(1)).zip(w) {
                        sums = _mm512_dpbusd_epi32(sums, cast(*seen), *w);
                    }
                }
                put_channels::<SIXTEEN>(by.requantize(sums), y.get_mut(c..)?)?;
            }
        }
    }
    Some(())
}

/// Of sixteen channels, from c on, the weights of taps below each other, from a tap on: zeros past the last one.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn below_each_other(
    w: &[i8],
    [kh, kw, channels]: [usize; 3],
    [first, column, c]: [usize; 3],
) -> Option<__m512i> {
    let mut group = [[0; TAPS]; PANEL_LEN];
    for tap in 0..TAPS.min(kh - first) {
        let at = ((first + tap) * kw + column) * channels;
        let of_tap = sixteen_of(w.get(at..)?.get(..channels)?, c);
        for (to, w) in group.iter_mut().zip(of_tap) {
            *to.get_mut(tap)? = w;
        }
    }
    Some(cast(group))
}

/// Sixteen channels, from c on, of what a row of windows sees: for each four taps that lie below each other, so many
/// columns, counted from the first window's first tap.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn see<'r, const SIXTEEN: bool>(
    room: &'r mut Rows<Column>,
    image: &Image,
    x: &[i8],
    c: usize,
    [first, columns]: [usize; 2],
) -> Option<&'r [Row<Column>]> {
    let ([height, width, channels], [pad_h, pad_w], [kh, _]) = (image.x, image.pad, image.taps);
    let [dilation, _] = image.dilation;
    let zero = i8::try_from(image.x_zero_point).ok()?;
    let of_zero = [zero; PANEL_LEN];
    let all = kh.div_ceil(TAPS) * columns;
    let before = pad_w.min(columns);
    let inside = width.min(columns - before);
    let mut seen = Seen::in_room(room.get_mut(..all)?);
    for group in (0..kh).step_by(TAPS) {
        // Taps beside the image are one pixel again and again; those past the last one, anything: its weights are zero.
        let mut of_taps: [(&[i8], usize); TAPS] = [(&of_zero, 0); TAPS];
        for (tap, to) in (group..kh).zip(&mut of_taps) {
            if let Some(row) = (first + tap * dilation).checked_sub(pad_h).filter(|row| *row < height) {
                *to = (x.get(row * width * channels..)?.get(..width * channels)?.get(c..)?, channels);
            }
        }
        seen.fill(zero, before * PANEL_LEN)?;
        if let ([(a, 1..), (b, 1..), (c, 1..), _], 3) = (of_taps, kh - group)
            && SIXTEEN
        {
            let of_both = a.chunks(channels).zip(b.chunks(channels));
            for ((a, b), c) in of_both.zip(c.chunks(channels)).take(inside) {
                seen.row(side_by_side([*a.first_chunk()?, *b.first_chunk()?, *c.first_chunk()?]))?;
            }
        } else {
            for column in 0..inside {
                let mut taps = [[0; PANEL_LEN]; TAPS];
                for (tap, (x, step)) in taps.iter_mut().zip(of_taps) {
                    *tap = sixteen_of(x, column * step);
                }
                seen.row(side_by_side(taps))?;
            }
        }
        seen.fill(zero, (columns - before - inside) * PANEL_LEN)?;
    }
    Some(seen.written(all * PANEL_LEN)?.as_chunks().0)
}

/// [`put`] of sixteen channels, or of fewer.
#[inline(always)]
fn put_channels<const SIXTEEN: bool>(elements: [i8; PANEL_LEN], y: &mut [i8]) -> Option<()> {
    if SIXTEEN {
        *y.first_chunk_mut()? = elements;
    } else {
        put(elements, y);
    }
    Some(())
}

/// Sixteen channels of up to four taps, those of a channel side by side.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn side_by_side<const N: usize>(taps: [[i8; PANEL_LEN]; N]) -> Row<Column> {
    let mut all = all_above();
    for (tap, x) in taps.into_iter().enumerate() {
        let x = _mm512_cvtepu8_epi32(cast(x));
        let x = match tap {
            0 => x,
            1 => _mm512_slli_epi32::<8>(x),
            2 => _mm512_slli_epi32::<16>(x),
            _ => _mm512_slli_epi32::<24>(x),
        };
        all = _mm512_xor_si512(all, x);
    }
    cast(all)
}
