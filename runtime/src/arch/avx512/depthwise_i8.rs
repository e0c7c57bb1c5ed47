//! Depthwise convolutions of integers with one output a channel: of sixteen channels, taps that lie below each other are
//! put side by side, four at a time, and multiplied at once.

use super::requantize::{Multipliers, bias};
use crate::arch::wide::blocks::{Room, Row, Rows, Seen};
use crate::arch::wide::{Places, Rounding, sixteen_of, tiles};
use crate::arch::x86::unsigned::ABOVE;
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
        return sixteen_or_fewer::<false>(room.rows(), image, w, outputs, x, y);
    }
    // Channels are gone through once for so many rows as stay in the second-level cache.
    let ([_, width, _], [rows, ..], [stride, _]) = (image.x, image.y, image.stride);
    let at_once = (NEAR / (width * channels * stride).max(1)).max(LEAST_ROWS);
    // Points, of which each is a row by itself, are one row here.
    if rows <= at_once {
        return sixteen_or_fewer::<true>(room.rows(), image, w, outputs, x, y);
    }
    let row = y.len().checked_div(rows)?;
    for first in (0..rows).step_by(at_once) {
        let count = at_once.min(rows - first);
        let (some, x_from) = image.some_rows(first, count);
        let y = y.get_mut(first * row..)?.get_mut(..count * row)?;
        sixteen_or_fewer::<true>(room.rows(), &some, w, outputs, x.get(x_from..)?, y)?;
    }
    Some(())
}

/// Elements of x that are gone through more than once. Tests see several times as many.
const NEAR: usize = if cfg!(test) { 1 << 8 } else { 1 << 17 };

/// Rows that are worth putting weights below each other.
const LEAST_ROWS: usize = if cfg!(test) { 2 } else { 8 };

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
            seen.row(cast(if kh == 3 {
                side_by_side([a, b, c])
            } else {
                side_by_side([a, b, c, *d.get(at)?.first_chunk()?])
            }))?;
        }
        let (seen, _) = seen.written(seen_columns * PANEL_LEN)?.as_chunks::<PANEL_LEN>();
        let y = y.get_mut(row * columns * channels..)?;
        // The last ones begin early enough to be whole.
        for column in (0..last).step_by(together).chain([last]) {
            let mut sums = start;
            for (tap, w) in weights.iter().enumerate() {
                sums = _mm512_dpbusd_epi32(sums, cast(*seen.get(column + tap * dilation_w)?), *w);
            }
            let y = y.get_mut(column * channels..)?;
            by.put(&[sums], Places { y, stride: PANEL_LEN, len: PANEL_LEN })?;
        }
    }
    Some(())
}

/// Rows of windows, as many at once as see all of their taps among those that one has put below each other.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn sixteen_or_fewer<const SIXTEEN: bool>(
    room: &mut Rows<Column>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([rows, ..], [kh, _], [stride, _], [dilation, _]) =
        (image.y, image.taps, image.stride, image.dilation);
    let others = (kh.next_multiple_of(TAPS) - kh).checked_div(stride)?;
    match if dilation == 1 { rows.min(others + 1) } else { 1 } {
        4.. => rows_together::<4, SIXTEEN>(room, image, w, outputs, x, y),
        2.. => rows_together::<2, SIXTEEN>(room, image, w, outputs, x, y),
        _ => rows_together::<1, SIXTEEN>(room, image, w, outputs, x, y),
    }
}

/// `N` rows of y together, sixteen channels at a time, or all of them if there are fewer.
// Not inlined: what is inlined into a function that is too large is less.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline(never)]
fn rows_together<const N: usize, const SIXTEEN: bool>(
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
    let seen_rows = kh + (N - 1) * stride_h;
    let mut weights = [[_mm512_setzero_si512(); N]; MOST_WEIGHTS];
    let weights = weights.get_mut(..groups * kw)?;
    for c in tiles(channels) {
        for (at, to) in weights.iter_mut().enumerate() {
            for (row, to) in to.iter_mut().enumerate() {
                let first = (at / kw * TAPS).cast_signed() - (row * stride_h).cast_signed();
                *to = below_each_other(w, [kh, kw, channels], first, [at % kw, c])?;
            }
        }
        let mut too_much = _mm512_setzero_si512();
        for w in &*weights {
            too_much = _mm512_dpbusd_epi32(too_much, all_above(), *w.first()?);
        }
        let start = _mm512_sub_epi32(bias(outputs, c), too_much);
        let by = Multipliers::of(outputs, c);
        // The last ones begin early enough to be as many.
        for row in (0..rows).step_by(N).map(|row| row.min(rows - N)) {
            let seen = see::<SIXTEEN>(room, image, x, c, [row * stride_h, seen_rows], width)?;
            let (row_len, len) = (columns * channels, if SIXTEEN { PANEL_LEN } else { channels - c });
            let y = y.get_mut(row * row_len + c..)?;
            if let (&mut [w0, w1, w2], 1) = (&mut *weights, dilation_w) {
                // In registers.
                let w = [w0, w1, w2];
                for column in 0..columns {
                    let mut sums = [start; N];
                    add_products::<N, 3>(&mut sums, seen.get(column * stride_w..)?.first_chunk()?, &w);
                    let y = y.get_mut(column * channels..)?;
                    by.put(&sums, Places { y, stride: row_len, len })?;
                }
                continue;
            }
            for column in 0..columns {
                let mut sums = [start; N];
                for (seen, w) in seen.chunks_exact(width).zip(weights.chunks_exact(kw.max(1))) {
                    let seen = seen.get(column * stride_w..)?;
                    if let (Some(seen), Some(w), 1) = (seen.first_chunk(), w.first_chunk(), dilation_w)
                        && kw == 5
                    {
                        add_products::<N, 5>(&mut sums, seen, w);
                        continue;
                    }
                    for (seen, w) in seen.iter().step_by(dilation_w.max(1)).zip(w) {
                        add_products(&mut sums, &[*seen], &[*w]);
                    }
                }
                let y = y.get_mut(column * channels..)?;
                by.put(&sums, Places { y, stride: row_len, len })?;
            }
        }
    }
    Some(())
}

/// Of sixteen channels, from c on, the weights of a column's taps below each other, from a tap on: zeros for those that
/// there are not.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn below_each_other(
    w: &[i8],
    [kh, kw, channels]: [usize; 3],
    first: isize,
    [column, c]: [usize; 2],
) -> Option<__m512i> {
    let mut group = [[0; TAPS]; PANEL_LEN];
    for (place, tap) in (first..).take(TAPS).enumerate() {
        let Some(tap) = usize::try_from(tap).ok().filter(|tap| *tap < kh) else { continue };
        let of_tap = sixteen_of(w.get((tap * kw + column) * channels..)?.get(..channels)?, c);
        for (to, w) in group.iter_mut().zip(of_tap) {
            *to.get_mut(place)? = w;
        }
    }
    Some(cast(group))
}

/// Sixteen channels, from c on, of what rows of windows see: for each four rows of taps, counted from the first window's
/// first one, so many columns, likewise.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn see<'r, const SIXTEEN: bool>(
    room: &'r mut Rows<Column>,
    image: &Image,
    x: &[i8],
    c: usize,
    [first, rows]: [usize; 2],
    columns: usize,
) -> Option<&'r [Row<Column>]> {
    let ([height, width, channels], [pad_h, pad_w], [dilation, _]) = (image.x, image.pad, image.dilation);
    let zero = i8::try_from(image.x_zero_point).ok()?;
    let all = rows.div_ceil(TAPS) * columns;
    let before = pad_w.min(columns);
    let inside = width.min(columns - before);
    let mut seen = Seen::in_room(room.get_mut(..all)?);
    for group in (0..rows).step_by(TAPS) {
        // Another row stands for those beside the image, whose bytes are then set to zero's.
        let row = |tap: usize| {
            let row = (first + tap * dilation).checked_sub(pad_h).filter(|row| *row < height)?;
            x.get(row * width * channels..)?.get(..width * channels)?.get(c..)
        };
        let of_taps = [row(group), row(group + 1), row(group + 2), row(group + 3)];
        let Some(some) = of_taps.into_iter().flatten().next() else {
            seen.fill(zero, columns * PANEL_LEN)?;
            continue;
        };
        let (mut of_rows, mut beside) = ([some; TAPS], [0; TAPS]);
        for ((row, beside), of_tap) in of_rows.iter_mut().zip(&mut beside).zip(of_taps) {
            match of_tap {
                Some(of_tap) => *row = of_tap,
                None => *beside = u8::MAX,
            }
        }
        let beside = _mm512_set1_epi32(i32::from_le_bytes(beside));
        let of_zero = _mm512_set1_epi8(zero ^ ABOVE.cast_signed());
        let three = rows - group == 3;
        seen.fill(zero, before * PANEL_LEN)?;
        let [ra, rb, rc, rd] = of_rows.map(|row| row.get(..some.len()).unwrap_or_default());
        for column in 0..inside {
            let at = column * channels;
            let taps = if SIXTEEN {
                let of = at..at + PANEL_LEN;
                let (a, b) = (ra.get(of.clone())?.first_chunk()?, rb.get(of.clone())?.first_chunk()?);
                let c = rc.get(of.clone())?.first_chunk()?;
                if three {
                    side_by_side([*a, *b, *c])
                } else {
                    side_by_side([*a, *b, *c, *rd.get(of)?.first_chunk()?])
                }
            } else {
                side_by_side([ra, rb, rc, rd].map(|row| sixteen_of(row, at)))
            };
            // Where `beside` has ones, `of_zero`.
            seen.row(cast(_mm512_ternarylogic_epi32::<0xca>(beside, of_zero, taps)))?;
        }
        seen.fill(zero, (columns - before - inside) * PANEL_LEN)?;
    }
    Some(seen.written(all * PANEL_LEN)?.as_chunks().0)
}

/// Of a pixel of each row, the products of some columns.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn add_products<const N: usize, const COLUMNS: usize>(
    sums: &mut [__m512i; N],
    seen: &[Row<Column>; COLUMNS],
    w: &[[__m512i; N]; COLUMNS],
) {
    for (seen, w) in seen.iter().zip(w) {
        let seen = cast(*seen);
        for (sums, w) in sums.iter_mut().zip(w) {
            *sums = _mm512_dpbusd_epi32(*sums, seen, *w);
        }
    }
}

/// Sixteen channels of up to four taps, those of a channel side by side.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn side_by_side<const N: usize>(taps: [[i8; PANEL_LEN]; N]) -> __m512i {
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
    all
}

/// [`ABOVE`] in all places.
#[target_feature(enable = "avx512f")]
#[inline]
fn all_above() -> __m512i {
    _mm512_set1_epi8(ABOVE as i8)
}
