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

    /// The columns of the output whose windows are whole, as far as the width goes.
    pub(super) fn whole_columns(&self) -> Range<usize> {
        let ([_, stride], [_, pad]) = (self.stride, self.pad);
        let reach = (self.taps[1].saturating_sub(1)).saturating_mul(self.dilation[1]);
        let start = pad.div_ceil(stride.max(1));
        let past = |last: usize| last.checked_div(stride).map_or(0, |at| at.saturating_add(1));
        let end = (self.x[1] + pad).checked_sub(reach + 1).map_or(0, past).min(self.y[1]);
        start.min(end)..end
    }
}
