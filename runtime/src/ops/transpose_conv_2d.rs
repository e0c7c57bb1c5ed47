//! Transposed 2-D convolution: `y[n, oh, ow, o] = clamp(bias[o] + Σ x[n, ih, iw, c] · w[o, kh, kw, c])`
//! over all kh, ih with `ih · sh + kh · dh = oh + crop` and likewise kw, iw; summed in the order of
//! ih, iw, c.
//!
//! | operand | dtype | shape          | layouts             |
//! |---------|-------|----------------|---------------------|
//! | x       | f32   | `[N, H, W, C]`   | rows                |
//! | w       | f32   | `[O, KH, KW, C]` | rows, panel16       |
//! | bias    | f32   | `[O]`            | rows; may be absent |
//! | y       | f32   | `[N, OH, OW, O]` | rows                |
//!
//! The rule proves the shapes, that strides and dilations are at least 1, that positions fit `i32`,
//! and that y shares no memory with an input.

use crate::arch::{Active, Arch, TransposedImage};
use crate::conv;
use crate::gemm::Weights;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use crate::weight::Weight;
use crate::window::TransposedWindow;
use flatpack_format::OpCode;
use flatpack_format::ops::transpose_conv_2d::{RULE, TransposeConv2dParams};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::TransposeConv2d, RULE, run::<A, f32>)
}

pub(crate) fn run<A: Arch, W: Weight>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &TransposeConv2dParams = node.params()?;
    let [_, h, width, channels] = node.input_dims(0)?;
    let [outputs, kh, kw, _] = node.input_dims(1)?;
    let [_, oh, ow, _] = node.output_dims()?;
    let ([sh, sw], [dh, dw], [crop_h, crop_w]) = (params.stride, params.dilation, params.crop);
    let h_windows = TransposedWindow::new(h, kh, sh, dh, crop_h);
    let w_windows = TransposedWindow::new(width, kw, sw, dw, crop_w);
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let weights = Weights::<W>::of(node, &reads, kh * kw * channels, params.clamp)?;
    let x = reads.get(node.input(0)?)?;
    let image = TransposedImage {
        x: [h, width, channels],
        y: [oh, ow, outputs],
        taps: [kh, kw],
        windows: [h_windows, w_windows],
    };
    let macs = (h * width * channels).saturating_mul(kh * kw * outputs);
    let mut images = pieces(x, h * width * channels);
    let by_rows = pieces_mut(y, oh * ow * outputs).try_for_each(|y| {
        let x = images.next()?;
        node.threads().share(y, ow * outputs, macs, |first, y| {
            let image = image.some_rows(first, y.len().checked_div(ow * outputs)?);
            weights.transposed_image::<A>(&image, x, y)
        })
    });
    match by_rows {
        Some(()) => Some(()),
        None => {
            let windows = [TransposedWindow::new(1, 1, 1, 1, 0), h_windows, w_windows];
            conv::run::<A, _, _>(node, windows, 1, weights, x, y)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Input, TransposedAxis, difference, input, meets_with_stored_weights, noise, positions, refusal,
        refuses_other_operands, refuses_other_operands_with_stored_weights, run as run_step, transposed_axis,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use flatpack_format::ops::Clamp;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::TransposeConv2d;
    const STORED: [OpCode; 2] = [OpCode::TransposeConv2dW8, OpCode::TransposeConv2dW16];

    fn params(h: &TransposedAxis, w: &TransposedAxis) -> TransposeConv2dParams {
        TransposeConv2dParams {
            stride: [h.stride, w.stride],
            dilation: [h.dilation, w.dilation],
            crop: [h.crop, w.crop],
            output: [h.output, w.output],
            clamp: Clamp::NONE,
        }
    }

    /// Every input adds its multiple of the filter to the output.
    fn formula(h: &TransposedAxis, w: &TransposedAxis, [x, filter, bias]: &[Input; 3]) -> Vec<f32> {
        let [n, _, _, channels] = x.dims[..] else { unreachable!() };
        let outputs = filter.dims[0];
        let mut y: Vec<f64> =
            positions([n, h.output, w.output, outputs]).map(|[.., o]| bias.at(&[o])).collect();
        for [n, ih, iw, c] in positions([n, h.input, w.input, channels]) {
            for [o, kh, kw] in positions([outputs, h.taps, w.taps]) {
                if let (Some(oh), Some(ow)) = (h.at(ih, kh), w.at(iw, kw)) {
                    let index = ((n * h.output + oh) * w.output + ow) * outputs + o;
                    y[index as usize] += x.at(&[n, ih, iw, c]) * filter.at(&[o, kh, kw, c]);
                }
            }
        }
        y.into_iter().map(|y| y as f32).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_both_layouts(
            (h, w) in (transposed_axis(), transposed_axis()), n in 1u32..3, channels in 1u32..6,
            outputs in 1u32..20, seed: u32,
        ) {
            let x = noise(&[n, h.input, w.input, channels], seed);
            let filter = noise(&[outputs, h.taps, w.taps, channels], !seed);
            let inputs = [x, filter, noise(&[outputs], seed ^ 0x55)];
            let params = params(&h, &w);
            let rows = run_step(OP, bytes_of(&params), &inputs);
            prop_assert!(difference(&rows, &formula(&h, &w, &inputs)) < 1e-5);
            let [x, filter, bias] = inputs;
            let panels = run_step(OP, bytes_of(&params), &[x, filter.packed(), bias]);
            prop_assert_eq!(rows, panels);
        }

        #[test]
        fn it_meets_the_formula_with_weights_in_fewer_bytes(
            (h, w) in (transposed_axis(), transposed_axis()), n in 1u32..3, channels in 1u32..6,
            outputs in 1u32..20, seed: u32,
        ) {
            let x = noise(&[n, h.input, w.input, channels], seed);
            let filter = noise(&[outputs, h.taps, w.taps, channels], !seed);
            let inputs = [x, filter, noise(&[outputs], seed ^ 0x55)];
            let params = params(&h, &w);
            meets_with_stored_weights(STORED, bytes_of(&params), &inputs, (0, true), |inputs| {
                formula(&h, &w, inputs)
            });
        }
    }

    const POINT: TransposedAxis =
        TransposedAxis { input: 1, taps: 1, stride: 1, dilation: 1, crop: 0, output: 1 };

    #[test]
    fn past_the_reach_of_the_filter_there_is_the_bias() {
        let w = TransposedAxis { taps: 2, output: 4, ..POINT };
        let inputs = [input(&[1, 1, 1, 1], &[3.0]), input(&[1, 1, 2, 1], &[1.0, 2.0]), input(&[1], &[0.5])];
        assert_eq!(run_step(OP, bytes_of(&params(&POINT, &w)), &inputs), [3.5, 6.5, 0.5, 0.5]);
    }

    #[test]
    fn the_clamp_bounds_the_result() {
        let params = TransposeConv2dParams { clamp: Clamp { min: 0.0, max: 6.0 }, ..params(&POINT, &POINT) };
        let inputs = [input(&[1, 1, 1, 1], &[1.0]), input(&[3, 1, 1, 1], &[-2.0, 3.0, 9.0])];
        assert_eq!(run_step(OP, bytes_of(&params), &inputs), [0.0, 3.0, 6.0]);
    }

    #[test]
    fn weights_of_another_depth_are_refused() {
        let inputs = [noise(&[1, 1, 1, 3], 1), noise(&[4, 1, 1, 2], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn a_bias_of_another_length_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[2, 1, 1, 1], 2), noise(&[3], 3)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None), Misfit::Shape(2));
    }

    #[test]
    fn inputs_of_another_rank_are_refused() {
        let (x, filter) = (noise(&[1, 1, 1, 1], 1), noise(&[1, 1, 1, 1], 2));
        let refused = |inputs: &[Input]| refusal(OP, bytes_of(&params(&POINT, &POINT)), inputs, None);
        assert_eq!(refused(&[noise(&[1, 1, 1], 1), filter]), Misfit::Rank(0));
        assert_eq!(refused(&[x, noise(&[1, 1, 1], 1)]), Misfit::Rank(1));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[1, 1, 1, 1], 2)];
        let good = params(&POINT, &POINT);
        for bad in [
            TransposeConv2dParams { stride: [0, 1], ..good },
            TransposeConv2dParams { dilation: [1, 0], ..good },
            TransposeConv2dParams { output: [0, 1], ..good },
            TransposeConv2dParams { clamp: Clamp { min: 1.0, max: 0.0 }, ..good },
        ] {
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn positions_past_a_quarter_of_i32_are_refused() {
        let inputs = [noise(&[1, 1, 2, 1], 1), noise(&[1, 1, 2, 1], 2)];
        let good = params(&POINT, &POINT);
        for bad in [
            TransposeConv2dParams { stride: [1, 1 << 29], ..good },
            TransposeConv2dParams { dilation: [1, u32::MAX], ..good },
            TransposeConv2dParams { crop: [1 << 29, 0], ..good },
            TransposeConv2dParams { output: [1 << 29, 1], ..good },
        ] {
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Overflow, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        let ones = [input(&[1, 1, 1, 1], &[1.0]), input(&[1, 1, 1, 1], &[1.0]), input(&[1], &[1.0])];
        refuses_other_operands(OP, bytes_of(&params(&POINT, &POINT)), &ones, true, 0);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[2, 1, 1, 1], 2)];
        let output = noise(&[1, 1, 1, 3], 0).tensor_type();
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, Some(output)), Misfit::Shape(2));
    }

    #[test]
    fn other_operands_beside_weights_in_fewer_bytes_are_refused() {
        let dims: [&[u32]; 3] = [&[1; 4], &[1; 4], &[1]];
        refuses_other_operands_with_stored_weights(STORED, bytes_of(&params(&POINT, &POINT)), dims, true);
    }
}
