//! Which taps of an image its windows see.

use crate::arch::ImageI8;
use crate::window::{Window, Windows};
use core::ops::Range;

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
