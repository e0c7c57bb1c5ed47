//! Images of integers, and which of their taps the windows see.

#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
use crate::window::{Window, Windows};
#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
use core::ops::Range;

/// An image of 8-bit integers, and the windows that move over it. Axes are height and width.
#[derive(Clone, Copy, Debug)]
pub struct ImageI8 {
    /// Height, width and channels.
    pub x: [usize; 3],
    /// What taps beside the image have.
    pub x_zero_point: i32,
    /// Height, width and channels of the output.
    pub y: [usize; 3],
    /// Taps of the window.
    pub taps: [usize; 2],
    /// Input positions from a window to the next one.
    pub stride: [usize; 2],
    /// Input positions from a tap to the next one.
    pub dilation: [usize; 2],
    /// Positions of the first window before the image.
    pub pad: [usize; 2],
}

impl ImageI8 {
    /// Pixels that are computed each by itself, in one row.
    pub(crate) fn points(pixels: usize, [channels, outputs]: [usize; 2], x_zero_point: i32) -> Self {
        let one = [1; 2];
        let (x, y) = ([1, pixels, channels], [1, pixels, outputs]);
        Self { x, x_zero_point, y, taps: one, stride: one, dilation: one, pad: [0; 2] }
    }

    /// Calls `f` for the taps of the window of pixel `at` of the output, in their order: with the channels of
    /// x that the tap sees, none if it lies beside the image.
    #[inline(always)]
    pub(crate) fn try_each_tap<'x>(
        &self,
        at: usize,
        x: &'x [i8],
        mut f: impl FnMut(Option<&'x [i8]>) -> Option<()>,
    ) -> Option<()> {
        let ([_, width, channels], [_, y_width, _]) = (self.x, self.y);
        let place = [at.checked_div(y_width)?, at.checked_rem(y_width)?];
        let ([h, _, _], [kh, kw]) = (self.x, self.taps);
        let along = |place: usize, tap: usize, stride: usize, dilation: usize, pad: usize, len: usize| {
            let at = place.wrapping_mul(stride).wrapping_add(tap.wrapping_mul(dilation)).wrapping_sub(pad);
            Some(at).filter(|at| *at < len)
        };
        let ([row, column], [sh, sw], [dh, dw], [ph, pw]) = (place, self.stride, self.dilation, self.pad);
        for tap in 0..kh.wrapping_mul(kw) {
            let (ky, kx) = (tap.checked_div(kw)?, tap.checked_rem(kw)?);
            let seen = along(row, ky, sh, dh, ph, h).zip(along(column, kx, sw, dw, pw, width));
            let pixel = seen.map(|(row, column)| row.wrapping_mul(width).wrapping_add(column));
            f(match pixel {
                Some(pixel) => Some(x.get(pixel.wrapping_mul(channels)..)?.get(..channels)?),
                None => None,
            })?;
        }
        Some(())
    }
}

#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
impl ImageI8 {
    /// How windows move along height and width.
    pub(super) fn windows(&self) -> [Window; 2] {
        let [h, width, _] = self.x;
        let axis = |axis: usize, input: usize| {
            let of = |values: [usize; 2]| values.get(axis).copied().unwrap_or_default();
            Window::new(
                input,
                of(self.taps),
                of(self.stride) as u32,
                of(self.dilation) as u32,
                [of(self.pad) as u32, 0],
            )
        };
        [axis(0, h), axis(1, width)]
    }

    /// Whether each window sees some of the image.
    #[cfg_attr(flatpack_arch = "helium", allow(dead_code))]
    pub(super) fn sees_everywhere(&self) -> bool {
        let [h_windows, w_windows] = self.windows();
        let [oh, ow, _] = self.y;
        let sees = |windows: Window, positions: usize| (0..positions).all(|at| windows.span(at).count > 0);
        sees(h_windows, oh) && sees(w_windows, ow)
    }

    /// The positions along an axis whose windows are whole.
    pub(super) fn whole(&self, axis: usize) -> Range<usize> {
        let of = |values: [usize; 2]| values.get(axis).copied().unwrap_or_default();
        let ([h, width, _], [oh, ow, _]) = (self.x, self.y);
        let (stride, pad) = (of(self.stride), of(self.pad));
        let reach = of(self.taps).saturating_sub(1).saturating_mul(of(self.dilation));
        let past = |last: usize| last.checked_div(stride).map_or(0, |at| at.saturating_add(1));
        let end = (of([h, width]) + pad).checked_sub(reach + 1).map_or(0, past).min(of([oh, ow]));
        pad.div_ceil(stride.max(1)).min(end)..end
    }
}
