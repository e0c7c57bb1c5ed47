//! 3-D convolution: `y[n, od, oh, ow, o] = clamp(bias[o] + Σ x[n, od · sd + kd · dd − pad, …, c] ·
//! w[o, kd, kh, kw, c])`, summed in the order of kd, kh, kw, c over the taps that lie inside the input.
//!
//! | operand | dtype | shape                  | layouts                |
//! |---------|-------|------------------------|------------------------|
//! | x       | f32   | [N, D, H, W, C]        | rows                   |
//! | w       | f32   | [O, KD, KH, KW, C / G] | rows; panel16 if G = 1 |
//! | bias    | f32   | [O]                    | rows; may be absent    |
//! | y       | f32   | [N, OD, OH, OW, O]     | rows                   |
//!
//! `check` proves the shapes, that strides and dilations are at least 1, that positions fit `i32`,
//! and that y shares no memory with an input.

use crate::arch::{Active, Arch};
use crate::gemm::Weights;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::window::{Pixels, Window};
use core::ops::Range;
use flatpack_format::ops::conv_3d::{Conv3dParams, RULE};
use flatpack_format::{Layout, Misfit, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel { op: OpCode::Conv3d, check, run: run::<Active> };

fn check(node: &Node<'_>) -> Result<(), Misfit> {
    node.check(&RULE, true, 0)?;
    let params: &Conv3dParams = node.params().ok_or(Misfit::Params)?;
    let packed = node.input(1).is_some_and(|w| w.layout() == Layout::Panel16);
    if packed && params.groups != 1 { Err(Misfit::Layout(1)) } else { Ok(()) }
}

struct Conv<'a> {
    x: &'a [f32],
    weights: Weights<'a>,
    /// Along depth, height and width.
    windows: [Window; 3],
    channels: usize,
    /// First channel and number of channels of the group.
    group: usize,
    depth: usize,
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &Conv3dParams = node.params()?;
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let x = reads.get::<f32>(node.input(0)?)?;
    let w = node.input(1)?;
    let all_weights = reads.get::<f32>(w)?;
    let all_bias = node.input(2).and_then(|bias| reads.get::<f32>(bias));
    let [_, d, h, width, channels] = node.input_dims(0)?;
    let [outputs, kd, kh, kw, depth] = node.input_dims(1)?;
    let [_, od, oh, ow, _] = node.output_dims()?;
    let ([sd, sh, sw], [dd, dh, dw]) = (params.stride, params.dilation);
    let [[pad_d, _], [pad_h, _], [pad_w, _]] = params.pad;
    let window = |input, taps, stride: u32, dilation: u32, pad: u32| Window {
        input,
        taps,
        stride: stride as usize,
        dilation: dilation as usize,
        pad: pad as usize,
    };
    let w_window = window(width, kw, sw, dw, pad_w);
    let windows = [window(d, kd, sd, dd, pad_d), window(h, kh, sh, dh, pad_h), w_window];
    let groups = params.groups as usize;
    let group_outputs = outputs.checked_div(groups)?;
    let group_depth = kd * kh * kw * depth;

    let volumes = x.chunks_exact((d * h * width * channels).max(1));
    for (x, y) in volumes.zip(y.chunks_exact_mut((od * oh * ow * outputs).max(1))) {
        for group in 0..groups {
            let first = group * group_outputs;
            let own = first..first + group_outputs;
            let weights = Weights {
                layout: w.layout(),
                w: match groups {
                    1 => all_weights,
                    _ => all_weights.get(own.start * group_depth..own.end * group_depth)?,
                },
                bias: all_bias.and_then(|bias| bias.get(own.clone())),
                depth: group_depth,
                clamp: params.clamp,
            };
            let conv = Conv { x, weights, windows, channels, group: group * depth, depth };
            for (plane, y) in y.chunks_exact_mut((oh * ow * outputs).max(1)).enumerate() {
                for (row, y) in y.chunks_exact_mut((ow * outputs).max(1)).enumerate() {
                    for (column, y) in w_window.pixels(y, outputs) {
                        let at = [plane, row, column];
                        match y {
                            Pixels::One(y) => conv.pixels::<A, 1>(at, own.clone(), y)?,
                            Pixels::Two(y) => conv.pixels::<A, 2>(at, own.clone(), y)?,
                        }
                    }
                }
            }
        }
    }
    Some(())
}

impl Conv<'_> {
    /// The outputs `own` of `P` neighbouring pixels whose windows lie equally inside the input.
    fn pixels<A: Arch, const P: usize>(
        &self,
        at: [usize; 3],
        own: Range<usize>,
        y: [&mut [f32]; P],
    ) -> Option<()> {
        let y = y.map(|y| y.get_mut(own.clone()).unwrap_or_default());
        let [plane, row, column] = at;
        let [d, h, w] = self.windows;
        let columns = w.inside(column);
        let rows = d.inside(plane).flat_map(move |kd| h.inside(row).map(move |kh| (kd, kh)));
        if w.dilation == 1 && self.depth == self.channels {
            // The taps of a row are neighbours in memory: one stretch per row.
            let len = columns.len() * self.depth;
            let stretches = rows.map(|(kd, kh)| {
                let tap = [kd, kh, columns.start];
                (self.inputs::<P>(at, tap, len), self.weight(tap))
            });
            self.weights.pixels::<A, P>(stretches, y)
        } else {
            let taps = rows.flat_map(|(kd, kh)| columns.clone().map(move |kw| [kd, kh, kw]));
            let stretches = taps.map(|tap| (self.inputs::<P>(at, tap, self.depth), self.weight(tap)));
            self.weights.pixels::<A, P>(stretches, y)
        }
    }

    /// Where the weights of a tap begin.
    fn weight(&self, [kd, kh, kw]: [usize; 3]) -> usize {
        let [_, h, w] = self.windows;
        ((kd * h.taps + kh) * w.taps + kw) * self.depth
    }

    /// The activations under a tap of `P` neighbouring windows.
    #[inline(always)]
    fn inputs<const P: usize>(
        &self,
        [plane, row, column]: [usize; 3],
        [kd, kh, kw]: [usize; 3],
        len: usize,
    ) -> [&[f32]; P] {
        let [d, h, w] = self.windows;
        let line = (d.at(plane, kd) * h.input + h.at(row, kh)) * w.input;
        core::array::from_fn(|pixel| {
            let start = (line + w.at(column + pixel, kw)) * self.channels + self.group;
            self.x.get(start..start + len).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Axis, Input, axis, difference, input, noise, output_type, positions, refusal, run as run_step,
    };
    use bytemuck::bytes_of;
    use flatpack_format::ops::Clamp;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::Conv3d;

    fn params(axes: &[Axis; 3], groups: u32) -> Conv3dParams {
        Conv3dParams {
            stride: axes.map(|axis| axis.stride),
            dilation: axes.map(|axis| axis.dilation),
            pad: axes.map(|axis| axis.pad),
            groups,
            clamp: Clamp::NONE,
        }
    }

    fn formula([d, h, w]: &[Axis; 3], [x, filter, bias]: &[Input; 3], y: [u32; 5]) -> Vec<f32> {
        let [outputs, .., depth] = filter.dims[..] else { unreachable!() };
        let group_outputs = outputs / (x.dims[4] / depth);
        let sum = |[n, od, oh, ow, o]: [u32; 5]| {
            let mut sum = bias.at(&[o]);
            for [kd, kh, kw, c] in positions([d.taps, h.taps, w.taps, depth]) {
                if let (Some(id), Some(ih), Some(iw)) = (d.at(od, kd), h.at(oh, kh), w.at(ow, kw)) {
                    let channel = o / group_outputs * depth + c;
                    sum += x.at(&[n, id, ih, iw, channel]) * filter.at(&[o, kd, kh, kw, c]);
                }
            }
            sum as f32
        };
        positions(y).map(sum).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_both_layouts(
            axes in [axis(), axis(), axis()], n in 1u32..3, depth in 1u32..4, group_outputs in 1u32..6,
            groups in 1u32..3, seed: u32,
        ) {
            let [d, h, w] = axes;
            let outputs = groups * group_outputs;
            let x = noise(&[n, d.input, h.input, w.input, groups * depth], seed);
            let filter = noise(&[outputs, d.taps, h.taps, w.taps, depth], !seed);
            let inputs = [x, filter, noise(&[outputs], seed ^ 0x55)];
            let params = params(&axes, groups);
            let y = output_type(OP, bytes_of(&params), &inputs).unwrap().shape;
            let want = formula(&axes, &inputs, y.dims().try_into().unwrap());
            let rows = run_step(OP, bytes_of(&params), &inputs);
            prop_assert!(difference(&rows, &want) < 1e-5);
            if groups == 1 {
                let [x, filter, bias] = inputs;
                let panels = run_step(OP, bytes_of(&params), &[x, filter.packed(), bias]);
                prop_assert_eq!(rows, panels);
            }
        }
    }

    const POINT: Axis = Axis { input: 1, taps: 1, stride: 1, dilation: 1, pad: [0, 0] };
    const POINTS: [Axis; 3] = [POINT; 3];

    #[test]
    fn the_clamp_bounds_the_result() {
        let params = Conv3dParams { clamp: Clamp { min: 0.0, max: 6.0 }, ..params(&POINTS, 1) };
        let inputs = [input(&[1, 1, 1, 1, 1], &[1.0]), input(&[3, 1, 1, 1, 1], &[-2.0, 3.0, 9.0])];
        assert_eq!(run_step(OP, bytes_of(&params), &inputs), [0.0, 3.0, 6.0]);
    }

    #[test]
    fn packed_weights_of_groups_are_refused() {
        let inputs = [noise(&[1, 1, 1, 1, 2], 1), noise(&[4, 1, 1, 1, 1], 2).packed()];
        assert_eq!(refusal(OP, bytes_of(&params(&POINTS, 2)), &inputs, None), Misfit::Layout(1));
    }

    #[test]
    fn channels_or_outputs_that_the_groups_do_not_divide_are_refused() {
        for (channels, outputs, groups) in [(3, 4, 2), (2, 3, 2), (1, 1, 0)] {
            let inputs = [noise(&[1, 1, 1, 1, channels], 1), noise(&[outputs, 1, 1, 1, 1], 2)];
            assert_eq!(refusal(OP, bytes_of(&params(&POINTS, groups)), &inputs, None), Misfit::Shape(1));
        }
    }

    #[test]
    fn a_bias_of_another_length_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1, 1], 1), noise(&[2, 1, 1, 1, 1], 2), noise(&[3], 3)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINTS, 1)), &inputs, None), Misfit::Shape(2));
    }

    #[test]
    fn inputs_of_another_rank_are_refused() {
        let (x, filter) = (noise(&[1, 1, 1, 1, 1], 1), noise(&[1, 1, 1, 1, 1], 2));
        let refused = |inputs: &[Input]| refusal(OP, bytes_of(&params(&POINTS, 1)), inputs, None);
        assert_eq!(refused(&[noise(&[1, 1, 1, 1], 1), filter]), Misfit::Rank(0));
        assert_eq!(refused(&[x, noise(&[1, 1, 1, 1], 1)]), Misfit::Rank(1));
    }

    #[test]
    fn a_window_past_the_padded_input_is_refused() {
        let inputs = [noise(&[1, 2, 1, 1, 1], 1), noise(&[1, 3, 1, 1, 1], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINTS, 1)), &inputs, None), Misfit::Shape(0));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let inputs = [noise(&[1, 1, 1, 1, 1], 1), noise(&[1, 1, 1, 1, 1], 2)];
        let good = params(&POINTS, 1);
        for bad in [
            Conv3dParams { stride: [1, 0, 1], ..good },
            Conv3dParams { dilation: [0, 1, 1], ..good },
            Conv3dParams { pad: [[0, 0], [0, 0], [0, 1 << 30]], ..good },
            Conv3dParams { clamp: Clamp { min: 1.0, max: 0.0 }, ..good },
        ] {
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1, 1], 1), noise(&[2, 1, 1, 1, 1], 2)];
        let output = noise(&[1, 1, 1, 1, 3], 0).tensor_type();
        assert_eq!(refusal(OP, bytes_of(&params(&POINTS, 1)), &inputs, Some(output)), Misfit::Shape(2));
    }
}
