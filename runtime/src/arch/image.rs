//! Images, and which of their taps the windows see.

use crate::window::{TransposedWindow, Window};
use core::ops::Range;

/// An image, and the windows that move over it. Axes are height and width.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// Height, width and channels.
    pub x: [usize; 3],
    /// What taps beside the image have; 0 for reals.
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

impl Image {
    /// Pixels that are computed each by itself, in one row.
    pub(crate) fn points(pixels: usize, [channels, outputs]: [usize; 2], x_zero_point: i32) -> Self {
        let one = [1; 2];
        let (x, y) = ([1, pixels, channels], [1, pixels, outputs]);
        Self { x, x_zero_point, y, taps: one, stride: one, dilation: one, pad: [0; 2] }
    }
}

/// An image, and the windows of a transposed convolution that move over its output. Axes are height and width.
#[derive(Clone, Copy, Debug)]
pub struct TransposedImage {
    /// Height, width and channels.
    pub x: [usize; 3],
    /// Height, width and channels of the output.
    pub y: [usize; 3],
    /// Taps of the window.
    pub taps: [usize; 2],
    pub(crate) windows: [TransposedWindow; 2],
}

impl TransposedImage {
    /// Some rows of the output as an image by themselves. All of x is that of each.
    pub(crate) fn some_rows(&self, first: usize, count: usize) -> Self {
        let ([h_windows, w_windows], [_, columns, outputs]) = (self.windows, self.y);
        Self { y: [count, columns, outputs], windows: [h_windows.moved_on(first), w_windows], ..*self }
    }
}

// What neither threads, nor caches, nor an instruction set's loops take, a build leaves out.
#[allow(dead_code)]
impl Image {
    /// Whether each pixel is computed by itself, and they are as many as those of x.
    fn are_points(&self) -> bool {
        let ([_, width, _], [rows, columns, _]) = (self.x, self.y);
        (rows, columns, self.taps, self.stride, self.pad) == (1, width, [1; 2], [1; 2], [0; 2])
    }

    /// How many rows of y can be computed each by itself: pixels, where they can.
    pub(crate) fn rows(&self) -> usize {
        let [rows, columns, _] = self.y;
        if self.are_points() { columns } else { rows }
    }

    /// Some of these rows as an image by themselves, and where its x begins, in elements.
    pub(crate) fn some_rows(&self, first: usize, count: usize) -> (Self, usize) {
        let ([height, width, channels], [_, columns, outputs]) = (self.x, self.y);
        if self.are_points() {
            return (Self::points(count, [channels, outputs], self.x_zero_point), first * channels);
        }
        let ([stride, _], [pad_h, pad_w]) = (self.stride, self.pad);
        let start = (first * stride).saturating_sub(pad_h).min(height);
        let image = Self {
            x: [height - start, width, channels],
            y: [count, columns, outputs],
            pad: [pad_h.saturating_sub(first * stride), pad_w],
            ..*self
        };
        (image, start * width * channels)
    }

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

    /// Positions from the first tap of a window to behind the last one, along both axes.
    pub(super) fn reach(&self) -> Option<[usize; 2]> {
        let ([kh, kw], [dilation_h, dilation_w]) = (self.taps, self.dilation);
        let of = |taps: usize, dilation: usize| taps.checked_sub(1)?.checked_mul(dilation)?.checked_add(1);
        Some([of(kh, dilation_h)?, of(kw, dilation_w)?])
    }

    /// Whether there is one window, and it is whole.
    pub(super) fn is_one_window(&self) -> bool {
        let [oh, ow, _] = self.y;
        [oh, ow] == [1; 2] && self.pad == [0; 2] && [0, 1].iter().all(|axis| self.whole(*axis) == (0..1))
    }

    /// Whether there is one window, which sees all of the image.
    pub(crate) fn is_seen_at_once(&self) -> bool {
        let [h, width, _] = self.x;
        self.is_one_window() && self.dilation == [1; 2] && self.taps == [h, width]
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
