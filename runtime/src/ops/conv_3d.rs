//! 3-D convolution: `y[n, od, oh, ow, o] = clamp(bias[o] + Σ x[n, od · sd + kd · dd − pad, …, c] ·
//! w[o, kd, kh, kw, c])`, summed in the order of kd, kh, kw, c over the taps that lie inside the input.
//!
//! | operand | dtype | shape                  | layouts                |
//! |---------|-------|------------------------|------------------------|
//! | x       | f32   | `[N, D, H, W, C]`        | rows                   |
//! | w       | f32   | `[O, KD, KH, KW, C / G]` | rows; panel16 if G = 1 |
//! | bias    | f32   | `[O]`                    | rows; may be absent    |
//! | y       | f32   | `[N, OD, OH, OW, O]`     | rows                   |
//!
//! The rule proves the shapes, that strides and dilations are at least 1, that positions fit `i32`,
//! and that y shares no memory with an input.

use crate::arch::{Active, Arch};
use crate::conv;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::window::Window;
use flatpack_format::OpCode;
use flatpack_format::ops::conv_3d::{Conv3dParams, RULE};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::Conv3d, RULE, run::<Active>);

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &Conv3dParams = node.params()?;
    let [_, d, h, width, _] = node.input_dims(0)?;
    let [_, kd, kh, kw, _] = node.input_dims(1)?;
    let ([sd, sh, sw], [dd, dh, dw]) = (params.stride, params.dilation);
    let [pad_d, pad_h, pad_w] = params.pad;
    let windows = [
        Window::new(d, kd, sd, dd, pad_d),
        Window::new(h, kh, sh, dh, pad_h),
        Window::new(width, kw, sw, dw, pad_w),
    ];
    conv::run_f32::<A, f32>(node, operands, windows, params.groups, params.clamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Axis, Input, axis, difference, input, noise, output_type, positions, refusal, refuses_other_operands,
        run as run_step,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
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
    fn other_operands_are_refused() {
        let ones = [input(&[1, 1, 1, 1, 1], &[1.0]), input(&[1, 1, 1, 1, 1], &[1.0]), input(&[1], &[1.0])];
        refuses_other_operands(OP, bytes_of(&params(&POINTS, 1)), &ones, true, 0);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1, 1], 1), noise(&[2, 1, 1, 1, 1], 2)];
        let output = noise(&[1, 1, 1, 1, 3], 0).tensor_type();
        assert_eq!(refusal(OP, bytes_of(&params(&POINTS, 1)), &inputs, Some(output)), Misfit::Shape(2));
    }
}
