//! Transposed 2-D convolution of 8-bit integers: `y[n, oh, ow, o] = requantize(bias[o] + Σ (x[n, ih, iw,
//! c] − zx) · (w[o, kh, kw, c] − zw))` over all kh, ih with `ih · sh + kh · dh = oh + crop` and likewise
//! kw, iw. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape            | layouts |
//! |---------|-------|------------------|---------|
//! | x       | i8    | `[N, H, W, C]`     | rows    |
//! | w       | i8    | `[O, KH, KW, C]`   | rows    |
//! | bias    | i32   | `[O]`              | rows    |
//! | requant | i32   | `[O, 2]` or `[1, 2]` | rows; constant multipliers |
//! | y       | i8    | `[N, OH, OW, O]`   | rows    |
//!
//! The rule proves the shapes, that strides and dilations are at least 1, that positions fit `i32`,
//! that multipliers and zero points are in their domains, and that y shares no memory with an input.

use crate::arch::{Active, Arch};
use crate::conv;
use crate::gemm_i8::WeightsI8;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
#[cfg(feature = "std")]
use crate::phases::Transposed;
#[cfg(feature = "std")]
use crate::pieces::{pieces, pieces_mut};
use crate::window::TransposedWindow;
use flatpack_format::ops::transpose_conv_2d_i8::{RULE, TransposeConv2dI8Params};
use flatpack_format::{Layout, OpCode};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::TransposeConv2dI8, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &TransposeConv2dI8Params = node.params()?;
    let [_, h, width, _] = node.input_dims(0)?;
    let [_, kh, kw, depth] = node.input_dims(1)?;
    let ([sh, sw], [dh, dw], [crop_h, crop_w]) = (params.stride, params.dilation, params.crop);
    let h_windows = TransposedWindow::new(h, kh, sh, dh, crop_h);
    let w_windows = TransposedWindow::new(width, kw, sw, dw, crop_w);
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let x = reads.get::<i8>(node.input(0)?)?;
    #[cfg(feature = "std")]
    if A::WIDE_TILES && params.w_zero_point == 0 {
        let [_, oh, ow, outputs] = node.output_dims()?;
        let transposed = Transposed {
            x: [h, width, depth],
            x_zero_point: params.x_zero_point,
            y: [ow, outputs],
            taps: [kh, kw],
            stride: params.stride.map(|stride| stride as usize),
            windows: [h_windows, w_windows],
            w: reads.get(node.input(1)?)?,
            bias: reads.get(node.input(2)?)?,
            requant: reads.get(node.input(3)?)?,
            of_y: params.y,
        };
        let macs = (h * width * depth).saturating_mul(kh * kw * outputs);
        let mut images = pieces(x, h * width * depth);
        let by_phases = pieces_mut(&mut *y, oh * ow * outputs).try_for_each(|y| {
            let x = images.next()?;
            node.threads().share(y, ow * outputs, macs, |first, y| transposed.run::<A>(first, x, y))
        });
        if by_phases.is_some() {
            return by_phases;
        }
    }
    let windows = [TransposedWindow::new(1, 1, 1, 1, 0), h_windows, w_windows];
    let weights = WeightsI8 {
        w: reads.get(node.input(1)?)?,
        layout: Layout::Rows,
        bias: reads.get(node.input(2)?)?,
        requant: reads.get(node.input(3)?)?,
        depth: kh * kw * depth,
        x_zero_point: params.x_zero_point,
        w_zero_point: params.w_zero_point,
        folded: false,
        y: params.y,
        plain: false,
        quads: &[],
    };
    conv::run::<A, _, _>(node, windows, 1, weights, x, y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Input, TransposedAxis, integers, positions, refusal, run as run_step, transposed_axis,
    };
    use crate::one_step_i8::{
        BAD_OUTPUTS, OPEN, floats, output_i8, point, refuses_other_weights, requant_of, requantized,
        weighted, zero_point,
    };
    use bytemuck::bytes_of;
    use flatpack_format::ops::OutputI8;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const OP: OpCode = OpCode::TransposeConv2dI8;

    fn params(h: &TransposedAxis, w: &TransposedAxis) -> TransposeConv2dI8Params {
        TransposeConv2dI8Params {
            stride: [h.stride, w.stride],
            dilation: [h.dilation, w.dilation],
            crop: [h.crop, w.crop],
            output: [h.output, w.output],
            x_zero_point: 0,
            w_zero_point: 0,
            y: OPEN,
        }
    }

    /// Every input adds its multiple of the filter to the sums.
    fn formula(
        h: &TransposedAxis,
        w: &TransposedAxis,
        [x, filter, bias, requant]: &[Input; 4],
        params: &TransposeConv2dI8Params,
    ) -> Vec<f32> {
        let [n, _, _, channels] = x.dims[..] else { unreachable!() };
        let outputs = filter.dims[0];
        let (zx, zw) = (i64::from(params.x_zero_point), i64::from(params.w_zero_point));
        let y = || positions([n, h.output, w.output, outputs]);
        let mut sums: Vec<i64> = y().map(|[.., o]| bias.int(&[o])).collect();
        for [n, ih, iw, c] in positions([n, h.input, w.input, channels]) {
            for [o, kh, kw] in positions([outputs, h.taps, w.taps]) {
                if let (Some(oh), Some(ow)) = (h.at(ih, kh), w.at(iw, kw)) {
                    let index = ((n * h.output + oh) * w.output + ow) * outputs + o;
                    let filter = filter.int(&[o, kh, kw, c]) - zw;
                    sums[index as usize] += (x.int(&[n, ih, iw, c]) - zx) * filter;
                }
            }
        }
        floats(y().zip(sums).map(|([.., o], sum)| requantized(sum, requant, o, &params.y)))
    }

    proptest! {
        #[test]
        fn it_meets_the_formula(
            (h, w) in (transposed_axis(), transposed_axis()), n in 1u32..3, channels in 1u32..6,
            outputs in 1u32..10, one: bool,
            zx in zero_point(), zw in prop_oneof![Just(0), zero_point()], y in output_i8(), seed: u32,
        ) {
            let x = [n, h.input, w.input, channels];
            let inputs = weighted(&x, &[outputs, h.taps, w.taps, channels], outputs, one, seed);
            let params = TransposeConv2dI8Params { x_zero_point: zx, w_zero_point: zw, y, ..params(&h, &w) };
            prop_assert_eq!(run_step(OP, bytes_of(&params), &inputs), formula(&h, &w, &inputs, &params));
        }
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_phase_by_phase(
            (h, w) in (transposed_axis(), transposed_axis()), dilated: bool, channels in 1u32..10,
            outputs in 1u32..40, one: bool, zx in zero_point(), y in output_i8(), seed: u32,
        ) {
            let [h, w] = [h, w].map(|axis| TransposedAxis {
                dilation: if dilated { axis.dilation } else { 1 },
                stride: axis.stride.min(3),
                ..axis
            });
            let x = [1, h.input, w.input, channels];
            let inputs = weighted(&x, &[outputs, h.taps, w.taps, channels], outputs, one, seed);
            let params = TransposeConv2dI8Params { x_zero_point: zx, y, ..params(&h, &w) };
            prop_assert_eq!(run_step(OP, bytes_of(&params), &inputs), formula(&h, &w, &inputs, &params));
        }
    }

    const POINT: TransposedAxis =
        TransposedAxis { input: 1, taps: 1, stride: 1, dilation: 1, crop: 0, output: 1 };

    #[test]
    fn past_the_reach_of_the_filter_there_is_the_bias() {
        let w = TransposedAxis { output: 3, ..POINT };
        let params = TransposeConv2dI8Params { x_zero_point: -9, ..params(&POINT, &w) };
        let inputs = point(&[1; 4], &[2], &[5]);
        assert_eq!(run_step(OP, bytes_of(&params), &inputs), [25.0, 5.0, 5.0]);
    }

    #[test]
    fn the_zero_point_is_added_and_the_bounds_hold() {
        let y = OutputI8 { zero_point: 10, min: 10, max: 60 };
        let params = TransposeConv2dI8Params { y, ..params(&POINT, &POINT) };
        let inputs = point(&[3, 1, 1, 1], &[-2, 3, 90], &[0, 1, 0]);
        assert_eq!(run_step(OP, bytes_of(&params), &inputs), [10.0, 14.0, 60.0]);
    }

    #[test]
    fn sums_wrap() {
        let [x, w, bias, _] = point(&[1; 4], &[1], &[i32::MAX]);
        let inputs = [x, w, bias, requant_of(1, i32::MAX, 0)];
        assert_eq!(run_step(OP, bytes_of(&params(&POINT, &POINT)), &inputs), [-128.0]);
    }

    #[test]
    fn weights_of_another_depth_are_refused() {
        let inputs = weighted(&[1, 1, 1, 3], &[4, 1, 1, 2], 4, true, 1);
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn inputs_of_another_rank_are_refused() {
        let [x, w, bias, requant] = point(&[1; 4], &[1], &[0]);
        let flat = integers(&[1, 1, 1], 1, DType::I8);
        let refused = |x: &Input, w: &Input| {
            let inputs = [x.clone(), w.clone(), bias.clone(), requant.clone()];
            refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None)
        };
        assert_eq!(refused(&flat, &w), Misfit::Rank(0));
        assert_eq!(refused(&x, &flat), Misfit::Rank(1));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let good = params(&POINT, &POINT);
        let bad = [
            TransposeConv2dI8Params { stride: [0, 1], ..good },
            TransposeConv2dI8Params { dilation: [1, 0], ..good },
            TransposeConv2dI8Params { output: [0, 1], ..good },
            TransposeConv2dI8Params { x_zero_point: 128, ..good },
            TransposeConv2dI8Params { w_zero_point: -129, ..good },
        ];
        for bad in bad.into_iter().chain(BAD_OUTPUTS.map(|y| TransposeConv2dI8Params { y, ..good })) {
            let inputs = point(&[1; 4], &[1], &[0]);
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn positions_past_a_quarter_of_i32_are_refused() {
        let inputs = weighted(&[1, 1, 2, 1], &[1, 1, 2, 1], 1, true, 1);
        let good = params(&POINT, &POINT);
        for bad in [
            TransposeConv2dI8Params { stride: [1, 1 << 29], ..good },
            TransposeConv2dI8Params { dilation: [1, u32::MAX], ..good },
            TransposeConv2dI8Params { crop: [1 << 29, 0], ..good },
            TransposeConv2dI8Params { output: [1 << 29, 1], ..good },
        ] {
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Overflow, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        for outputs in [1, 2] {
            let (w, bias) = (vec![1; outputs as usize], vec![0; outputs as usize]);
            let inputs = point(&[outputs, 1, 1, 1], &w, &bias);
            refuses_other_weights(OP, bytes_of(&params(&POINT, &POINT)), &inputs);
        }
    }
}
