//! Transposed 3-D convolution: `y[n, od, oh, ow, o] = clamp(bias[o] + Σ x[n, id, ih, iw, c] ·
//! w[o, kd, kh, kw, c])` over all kd, id with `id · sd + kd · dd = od + crop` and likewise kh, ih and
//! kw, iw; summed in the order of id, ih, iw, c.
//!
//! | operand | dtype | shape              | layouts             |
//! |---------|-------|--------------------|---------------------|
//! | x       | f32   | `[N, D, H, W, C]`    | rows                |
//! | w       | f32   | `[O, KD, KH, KW, C]` | rows, panel16       |
//! | bias    | f32   | `[O]`                | rows; may be absent |
//! | y       | f32   | `[N, OD, OH, OW, O]` | rows                |
//!
//! The rule proves the shapes, that strides and dilations are at least 1, that positions fit `i32`,
//! and that y shares no memory with an input.

use crate::arch::{Active, Arch};
use crate::conv;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::window::TransposedWindow;
use flatpack_format::OpCode;
use flatpack_format::ops::transpose_conv_3d::{RULE, TransposeConv3dParams};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::TransposeConv3d, RULE, run::<Active>);

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &TransposeConv3dParams = node.params()?;
    let [_, d, h, width, _] = node.input_dims(0)?;
    let [_, kd, kh, kw, _] = node.input_dims(1)?;
    let ([sd, sh, sw], [dd, dh, dw]) = (params.stride, params.dilation);
    let [crop_d, crop_h, crop_w] = params.crop;
    let windows = [
        TransposedWindow::new(d, kd, sd, dd, crop_d),
        TransposedWindow::new(h, kh, sh, dh, crop_h),
        TransposedWindow::new(width, kw, sw, dw, crop_w),
    ];
    conv::run_f32::<A, f32>(node, operands, windows, 1, params.clamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Input, TransposedAxis, difference, input, noise, positions, refusal, refuses_other_operands,
        run as run_step, transposed_axis,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use flatpack_format::ops::Clamp;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::TransposeConv3d;

    fn params(axes: &[TransposedAxis; 3]) -> TransposeConv3dParams {
        TransposeConv3dParams {
            stride: axes.map(|axis| axis.stride),
            dilation: axes.map(|axis| axis.dilation),
            crop: axes.map(|axis| axis.crop),
            output: axes.map(|axis| axis.output),
            clamp: Clamp::NONE,
        }
    }

    /// Every input adds its multiple of the filter to the output.
    fn formula([d, h, w]: &[TransposedAxis; 3], [x, filter, bias]: &[Input; 3]) -> Vec<f32> {
        let [n, .., channels] = x.dims[..] else { unreachable!() };
        let outputs = filter.dims[0];
        let y = positions([n, d.output, h.output, w.output, outputs]);
        let mut y: Vec<f64> = y.map(|[.., o]| bias.at(&[o])).collect();
        for [n, id, ih, iw, c] in positions([n, d.input, h.input, w.input, channels]) {
            for [o, kd, kh, kw] in positions([outputs, d.taps, h.taps, w.taps]) {
                if let (Some(od), Some(oh), Some(ow)) = (d.at(id, kd), h.at(ih, kh), w.at(iw, kw)) {
                    let index = (((n * d.output + od) * h.output + oh) * w.output + ow) * outputs + o;
                    y[index as usize] += x.at(&[n, id, ih, iw, c]) * filter.at(&[o, kd, kh, kw, c]);
                }
            }
        }
        y.into_iter().map(|y| y as f32).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_both_layouts(
            axes in [transposed_axis(), transposed_axis(), transposed_axis()], n in 1u32..3,
            channels in 1u32..4, outputs in 1u32..6, seed: u32,
        ) {
            let [d, h, w] = axes;
            let x = noise(&[n, d.input, h.input, w.input, channels], seed);
            let filter = noise(&[outputs, d.taps, h.taps, w.taps, channels], !seed);
            let inputs = [x, filter, noise(&[outputs], seed ^ 0x55)];
            let params = params(&axes);
            let rows = run_step(OP, bytes_of(&params), &inputs);
            prop_assert!(difference(&rows, &formula(&axes, &inputs)) < 1e-5);
            let [x, filter, bias] = inputs;
            let panels = run_step(OP, bytes_of(&params), &[x, filter.packed(), bias]);
            prop_assert_eq!(rows, panels);
        }
    }

    const POINT: TransposedAxis =
        TransposedAxis { input: 1, taps: 1, stride: 1, dilation: 1, crop: 0, output: 1 };
    const POINTS: [TransposedAxis; 3] = [POINT; 3];

    #[test]
    fn the_clamp_bounds_the_result() {
        let params = TransposeConv3dParams { clamp: Clamp { min: 0.0, max: 6.0 }, ..params(&POINTS) };
        let inputs = [input(&[1, 1, 1, 1, 1], &[1.0]), input(&[3, 1, 1, 1, 1], &[-2.0, 3.0, 9.0])];
        assert_eq!(run_step(OP, bytes_of(&params), &inputs), [0.0, 3.0, 6.0]);
    }

    #[test]
    fn weights_of_another_depth_are_refused() {
        let inputs = [noise(&[1, 1, 1, 1, 3], 1), noise(&[4, 1, 1, 1, 2], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINTS)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn a_bias_of_another_length_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1, 1], 1), noise(&[2, 1, 1, 1, 1], 2), noise(&[3], 3)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINTS)), &inputs, None), Misfit::Shape(2));
    }

    #[test]
    fn inputs_of_another_rank_are_refused() {
        let (x, filter) = (noise(&[1, 1, 1, 1, 1], 1), noise(&[1, 1, 1, 1, 1], 2));
        let refused = |inputs: &[Input]| refusal(OP, bytes_of(&params(&POINTS)), inputs, None);
        assert_eq!(refused(&[noise(&[1, 1, 1, 1], 1), filter]), Misfit::Rank(0));
        assert_eq!(refused(&[x, noise(&[1, 1, 1, 1], 1)]), Misfit::Rank(1));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let inputs = [noise(&[1, 1, 1, 1, 1], 1), noise(&[1, 1, 1, 1, 1], 2)];
        let good = params(&POINTS);
        for bad in [
            TransposeConv3dParams { stride: [1, 0, 1], ..good },
            TransposeConv3dParams { dilation: [1, 1, 0], ..good },
            TransposeConv3dParams { output: [0, 1, 1], ..good },
            TransposeConv3dParams { clamp: Clamp { min: 1.0, max: 0.0 }, ..good },
        ] {
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn positions_past_a_quarter_of_i32_are_refused() {
        let inputs = [noise(&[1, 2, 1, 1, 1], 1), noise(&[1, 1, 1, 1, 1], 2)];
        let params = TransposeConv3dParams { stride: [1 << 29, 1, 1], ..params(&POINTS) };
        assert_eq!(refusal(OP, bytes_of(&params), &inputs, None), Misfit::Overflow);
    }

    #[test]
    fn other_operands_are_refused() {
        let ones = [input(&[1, 1, 1, 1, 1], &[1.0]), input(&[1, 1, 1, 1, 1], &[1.0]), input(&[1], &[1.0])];
        refuses_other_operands(OP, bytes_of(&params(&POINTS)), &ones, true, 0);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1, 1], 1), noise(&[2, 1, 1, 1, 1], 2)];
        let output = noise(&[1, 1, 1, 1, 3], 0).tensor_type();
        assert_eq!(refusal(OP, bytes_of(&params(&POINTS)), &inputs, Some(output)), Misfit::Shape(2));
    }
}
