//! Convolutions, matrix products and pools.

use super::{Axis, Build};
use flatpack_format::ops::{
    average_pool_2d::Pool2dParams, batch_matmul::BatchMatmulParams, conv_2d::Conv2dParams,
    conv_3d::Conv3dParams, depthwise_conv_2d::DepthwiseConv2dParams, fully_connected::FullyConnectedParams,
    transpose_conv_2d::TransposeConv2dParams, transpose_conv_3d::TransposeConv3dParams,
};

impl Build<'_> {
    pub(super) fn conv_2d(&mut self) {
        let (h, w) = (self.axis(), self.axis());
        let groups = self.draw.one_of(&[1, 1, 2, 3]);
        let (depth, outputs) = (self.draw.size(5), groups * self.draw.size(9));
        let n = self.draw.from(1..=2);
        self.input(&[n, h.input, w.input, depth * groups]);
        self.stored_weights(&[outputs, h.taps, w.taps, depth], 0);
        self.bias(outputs);
        let params = Conv2dParams {
            stride: [h.stride, w.stride],
            dilation: [h.dilation, w.dilation],
            pad_h: h.pad,
            pad_w: w.pad,
            groups,
            clamp: self.clamp(),
        };
        self.node(params);
    }

    pub(super) fn depthwise_conv_2d(&mut self) {
        let (h, w) = (self.axis(), self.axis());
        let channels = self.draw.size(9);
        let outputs = channels * self.draw.from(1..=3);
        let n = self.draw.from(1..=2);
        self.input(&[n, h.input, w.input, channels]);
        self.stored_weights(&[h.taps, w.taps, outputs], 2);
        self.bias(outputs);
        let params = DepthwiseConv2dParams {
            stride: [h.stride, w.stride],
            dilation: [h.dilation, w.dilation],
            pad_h: h.pad,
            pad_w: w.pad,
            clamp: self.clamp(),
        };
        self.node(params);
    }

    pub(super) fn conv_3d(&mut self) {
        let [d, h, w] = [self.axis(), self.axis(), self.axis()];
        let groups = self.draw.one_of(&[1, 1, 2]);
        let (depth, outputs) = (self.draw.from(1..=3), groups * self.draw.from(1..=4));
        let n = self.draw.from(1..=2);
        self.input(&[n, d.input, h.input, w.input, depth * groups]);
        self.weights(&[outputs, d.taps, h.taps, w.taps, depth]);
        self.bias(outputs);
        let params = Conv3dParams {
            stride: [d.stride, h.stride, w.stride],
            dilation: [d.dilation, h.dilation, w.dilation],
            pad: [d.pad, h.pad, w.pad],
            groups,
            clamp: self.clamp(),
        };
        self.node(params);
    }

    pub(super) fn transpose_conv_2d(&mut self) {
        let (h, w) = (self.transposed_axis(), self.transposed_axis());
        let (channels, outputs) = (self.draw.size(5), self.draw.size(9));
        let n = self.draw.from(1..=2);
        self.input(&[n, h.input, w.input, channels]);
        self.stored_weights(&[outputs, h.taps, w.taps, channels], 0);
        self.bias(outputs);
        let params = TransposeConv2dParams {
            stride: [h.stride, w.stride],
            dilation: [h.dilation, w.dilation],
            crop: [h.crop, w.crop],
            output: [h.output, w.output],
            clamp: self.clamp(),
        };
        self.node(params);
    }

    pub(super) fn transpose_conv_3d(&mut self) {
        let [d, h, w] = [self.transposed_axis(), self.transposed_axis(), self.transposed_axis()];
        let (channels, outputs) = (self.draw.from(1..=3), self.draw.from(1..=4));
        let n = self.draw.from(1..=2);
        self.input(&[n, d.input, h.input, w.input, channels]);
        self.weights(&[outputs, d.taps, h.taps, w.taps, channels]);
        self.bias(outputs);
        let params = TransposeConv3dParams {
            stride: [d.stride, h.stride, w.stride],
            dilation: [d.dilation, h.dilation, w.dilation],
            crop: [d.crop, h.crop, w.crop],
            output: [d.output, h.output, w.output],
            clamp: self.clamp(),
        };
        self.node(params);
    }

    pub(super) fn fully_connected(&mut self) {
        let mut x = self.draw.dims(1..=4);
        let (depth, outputs) = (self.draw.size(40), self.draw.size(40));
        *x.last_mut().unwrap() = depth;
        self.input(&x);
        self.stored_weights(&[outputs, depth], 0);
        self.bias(outputs);
        let clamp = self.clamp();
        self.node(FullyConnectedParams { clamp });
    }

    pub(super) fn batch_matmul(&mut self) {
        let batch = self.draw.dims(0..=4);
        let [m, k, n] = [9; 3].map(|usual| self.draw.size(usual));
        let transpose_b = self.draw.from(0..=1);
        let b = if transpose_b == 1 { [n, k] } else { [k, n] };
        self.input(&[&batch[..], &[m, k]].concat());
        self.input(&[&batch[..], &b].concat());
        self.node(BatchMatmulParams { transpose_b });
    }

    pub(super) fn pool(&mut self) {
        let axes = [(); 2].map(|()| {
            let (window, stride) = (self.draw.from(1..=4), self.draw.from(1..=4));
            let pad = [self.draw.from(0..=window - 1), self.draw.from(0..=window - 1)];
            let input = window.saturating_sub(pad[0] + pad[1]).max(1) + self.draw.size(6) - 1;
            Axis { input, taps: window, stride, dilation: 1, pad }
        });
        let [h, w] = axes;
        let (n, channels) = (self.draw.from(1..=2), self.draw.size(9));
        self.input(&[n, h.input, w.input, channels]);
        let params = Pool2dParams {
            window: [h.taps, w.taps],
            stride: [h.stride, w.stride],
            pad_h: h.pad,
            pad_w: w.pad,
            clamp: self.clamp(),
        };
        self.node(params);
    }
}
