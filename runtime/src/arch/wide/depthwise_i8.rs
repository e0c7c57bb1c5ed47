//! Depthwise convolutions of integers with one output a channel: of sixteen channels, what a block of pixels sees is put
//! together, and multiplied by two taps at a time.

use super::blocks::{MOST, Room, Row, Rows, Seen};
use super::{Places, Rounding, sixteen_of};
use crate::arch::{Image, OutputsI8, PANEL_LEN};

/// How an instruction set multiplies integers of sixteen channels with their weights.
pub(in crate::arch) trait TwoTaps: Sized {
    /// What activations become.
    type X: From<i8> + Copy;

    /// Weights of two taps.
    type W: Copy;

    /// Sums of sixteen channels in registers.
    type Sums;

    /// These as they are rounded.
    type Totals;

    /// What becomes of them.
    type Outputs: Rounding<Sums = Self::Totals>;

    /// The weights of two taps.
    fn weights(w: [[i8; PANEL_LEN]; 2]) -> Self::W;

    /// Sums as they are rounded.
    fn totals(sums: Self::Sums) -> Self::Totals;

    /// No sums yet.
    fn zero() -> Self::Sums;

    /// `sums[c] += x[0][c] · w[0][c] + x[1][c] · w[1][c]`. Sums wrap.
    fn add_products(sums: Self::Sums, x: [&Row<Self::X>; 2], w: &Self::W) -> Self::Sums;
}

/// See [`Arch::depthwise_image_i8`](crate::arch::Arch::depthwise_image_i8). `None` for more than one output of a channel,
/// for more than 64 taps, and for images that are too wide.
#[inline(always)]
pub(in crate::arch) fn depthwise_image_i8<V: TwoTaps, R>(
    room: &mut Room<R>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    match image.taps {
        // Nearly all are.
        [3, 3] if image.dilation == [1; 2] => {
            with_pairs::<V, 5>(room.rows(), image, w, outputs, x, y, |seen, width, at| {
                let row = |tap: usize| seen.get(at + tap * width..)?.first_chunk();
                let ([a, b, c], [d, e, f], [g, h, i]) = (row(0)?, row(1)?, row(2)?);
                Some([[a, b], [c, d], [e, f], [g, h], [i, i]])
            })
        }
        [kh, kw] if kh * kw <= 64 => {
            let [dilation_h, dilation_w] = image.dilation;
            with_pairs::<V, 32>(room.rows(), image, w, outputs, x, y, |seen, width, at| {
                let mut pairs = [[seen.get(at)?; 2]; 32];
                for (tap, x) in pairs.as_flattened_mut().iter_mut().enumerate().take(kh * kw) {
                    *x = seen.get(at + tap / kw * dilation_h * width + tap % kw * dilation_w)?;
                }
                Some(pairs)
            })
        }
        _ => None,
    }
}

/// Windows of so many pairs of taps, of which some at the end may be none: those see anything, since their weights are
/// zero. `taps` are those of a pixel: of what is seen, in rows of this width, from here on.
#[inline(always)]
fn with_pairs<V: TwoTaps, const PAIRS: usize>(
    room: &mut Rows<V::X>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
    taps: impl for<'s> Fn(&'s [Row<V::X>], usize, usize) -> Option<[[&'s Row<V::X>; 2]; PAIRS]>,
) -> Option<()> {
    let ([_, _, channels], [rows, columns, count]) = (image.x, image.y);
    let ([kh, kw], [stride_h, stride_w]) = (image.taps, image.stride);
    let [dilation_h, dilation_w] = image.dilation;
    if channels != count {
        return None;
    }
    let pairs = (kh * kw).div_ceil(2);
    let width = columns.saturating_sub(1) * stride_w + (kw - 1) * dilation_w + 1;
    let reach = (kh - 1) * dilation_h + 1;
    let most_rows = (MOST / width).checked_sub(reach)?.checked_div(stride_h)? + 1;
    for first in (0..rows).step_by(most_rows) {
        let some = most_rows.min(rows - first);
        for c in tiles(channels) {
            let of_tap = |tap: usize| {
                let w = w.get(tap * channels..).unwrap_or_default();
                sixteen_of(w.get(..channels).unwrap_or_default(), c)
            };
            let mut w = [V::weights([[0; PANEL_LEN]; 2]); PAIRS];
            for (pair, w) in w.iter_mut().enumerate() {
                *w = V::weights([of_tap(2 * pair), of_tap(2 * pair + 1)]);
            }
            let outputs = V::Outputs::of(outputs, c);
            let seen = seen(room, image, x, c, [first * stride_h, (some - 1) * stride_h + reach, width])?;
            for row in 0..some {
                let y = y.get_mut((first + row) * columns * channels..)?.get_mut(..columns * channels)?;
                for column in 0..columns {
                    let x = taps(seen, width, row * stride_h * width + column * stride_w)?;
                    let mut sums = V::zero();
                    for (x, w) in x.into_iter().zip(&w).take(pairs) {
                        sums = V::add_products(sums, x, w);
                    }
                    let (y, len) = (y.get_mut(column * channels + c..)?, PANEL_LEN.min(channels));
                    outputs.put(&[V::totals(sums)], Places { y, stride: channels, len })?;
                }
            }
        }
    }
    Some(())
}

/// Where sixteen channels begin that are computed at once: the last of them early enough to be so many, if there are.
pub(in crate::arch) fn tiles(channels: usize) -> impl Iterator<Item = usize> {
    let last = channels.saturating_sub(PANEL_LEN);
    (0..last).step_by(PANEL_LEN).chain([last])
}

/// Sixteen channels, from c on, of some rows of an image with what taps beside it have: the first one counted from the
/// first window's first tap, and of a width.
#[inline(always)]
fn seen<'r, X: From<i8> + Copy>(
    room: &'r mut Rows<X>,
    image: &Image,
    x: &[i8],
    c: usize,
    [first, rows, columns]: [usize; 3],
) -> Option<&'r [Row<X>]> {
    let ([height, width, channels], [pad_h, pad_w]) = (image.x, image.pad);
    let zero = i8::try_from(image.x_zero_point).ok()?;
    let mut seen = Seen::in_room(room.get_mut(..rows * columns)?);
    let before = pad_w.min(columns);
    let inside = width.min(columns - before);
    let after = columns - before - inside;
    for row in first..first + rows {
        match row.checked_sub(pad_h).filter(|row| *row < height) {
            None => seen.fill(zero, columns * PANEL_LEN)?,
            Some(row) => {
                let x = x.get(row * width * channels..)?.get(..inside * channels)?;
                seen.fill(zero, before * PANEL_LEN)?;
                seen.rows(inside, x.chunks_exact(channels).map(|x| sixteen_of(x, c).map(X::from)))?;
                seen.fill(zero, after * PANEL_LEN)?;
            }
        }
    }
    Some(seen.written(rows * columns * PANEL_LEN)?.as_chunks().0)
}
