//! Windows along one axis, and what they reach.

use proptest::prelude::*;

/// A window along one axis of a padded input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) input: u32,
    pub(crate) taps: u32,
    pub(crate) stride: u32,
    pub(crate) dilation: u32,
    pub(crate) pad: [u32; 2],
}

/// Small windows that fit their input: strides past the window, dilations, pads past the window.
pub(crate) fn axis() -> impl Strategy<Value = Axis> {
    let sizes = (0u32..6, 1u32..4, 1u32..5, 1u32..4);
    (sizes, 0u32..4, 0u32..4).prop_map(|((more, taps, stride, dilation), before, after)| {
        let reach = (taps - 1) * dilation + 1;
        let input = reach.saturating_sub(before + after).max(1) + more;
        Axis { input, taps, stride, dilation, pad: [before, after] }
    })
}

/// Small windows without dilation, each of which covers an element.
pub(crate) fn pool_axis() -> impl Strategy<Value = Axis> {
    axis().prop_map(|axis| Axis {
        dilation: 1,
        input: axis.input + axis.taps,
        pad: axis.pad.map(|pad| pad.min(axis.taps - 1)),
        ..axis
    })
}

impl Axis {
    /// The input position under `tap` of the window at `position`; `None` over the padding.
    pub(crate) fn at(&self, position: u32, tap: u32) -> Option<u32> {
        let at = (position * self.stride + tap * self.dilation).checked_sub(self.pad[0])?;
        (at < self.input).then_some(at)
    }
}

/// A window that the inputs carry over the output, along one axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransposedAxis {
    pub(crate) input: u32,
    pub(crate) taps: u32,
    pub(crate) stride: u32,
    pub(crate) dilation: u32,
    pub(crate) crop: u32,
    pub(crate) output: u32,
}

/// Small windows: strides past the window, dilations, crops, outputs past the reach of the window.
pub(crate) fn transposed_axis() -> impl Strategy<Value = TransposedAxis> {
    let sizes = (1u32..5, 1u32..5, 1u32..5, 1u32..4, 0u32..4, 1u32..16);
    sizes.prop_map(|(input, taps, stride, dilation, crop, output)| TransposedAxis {
        input,
        taps,
        stride,
        dilation,
        crop,
        output,
    })
}

impl TransposedAxis {
    /// The output position that `input` reaches through `tap`; `None` if it is cropped.
    pub(crate) fn at(&self, input: u32, tap: u32) -> Option<u32> {
        let at = (input * self.stride + tap * self.dilation).checked_sub(self.crop)?;
        (at < self.output).then_some(at)
    }
}
