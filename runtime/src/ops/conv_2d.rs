//! 2-D convolution: `y[n, oh, ow, o] = clamp(bias[o] + Σ x[n, oh · sh + kh · dh − pad, …, c] ·
//! w[o, kh, kw, c])`, summed in the order of kh, kw, c over the taps that lie inside the input.
//!
//! | operand | dtype | shape              | layouts             |
//! |---------|-------|--------------------|---------------------|
//! | x       | f32   | `[N, H, W, C]`       | rows                |
//! | w       | f32   | `[O, KH, KW, C / G]` | rows; panel16 if G = 1 |
//! | bias    | f32   | `[O]`                | rows; may be absent |
//! | y       | f32   | `[N, OH, OW, O]`     | rows                |
//!
//! The rule proves the shapes, that strides and dilations are at least 1, that positions fit `i32`, and
//! that y shares no memory with an input but as rows may overlap.

use crate::arch::{Active, Arch, Image};
use crate::conv::Images;
use crate::gemm::Weights;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::rows::Rows;
use crate::weight::Weight;
use crate::window::Moves;
use flatpack_format::OpCode;
use flatpack_format::ops::conv_2d::{Conv2dParams, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::Conv2d, RULE, run::<A, f32>)
}

pub(crate) fn run<A: Arch, W: Weight>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &Conv2dParams = node.params()?;
    let [_, kh, kw, depth] = node.input_dims(1)?;
    let mut memory = Rows::of(node, &RULE, operands);
    let (reads, rows) = memory.as_mut()?;
    let weights = Weights::<W>::of(node, reads, kh * kw * depth, params.clamp)?;
    let &Conv2dParams { stride, dilation, pad_h, pad_w, .. } = params;
    let moves = Moves { stride, dilation, pad: [pad_h, pad_w] };
    let images = Images::of(node, &moves, params.groups, rows.are_points())?;
    let image_of = |image: &Image, x: &[f32], y: &mut [f32]| weights.image::<A>(image, x, y);
    rows.each(|band| {
        let image = images.image(0, &band);
        match node.threads().compute(&image, weights.depth, band.x, band.y, image_of, image_of) {
            Some(()) => Some(()),
            None => images.run::<A, _>(weights, band),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Axis, Input, axis, difference, input, meets_with_stored_weights, noise, output_type, positions,
        refusal, refuses_other_operands, refuses_other_operands_with_stored_weights, run as run_step,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use flatpack_format::ops::Clamp;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::Conv2d;
    const STORED: [OpCode; 2] = [OpCode::Conv2dW8, OpCode::Conv2dW16];

    fn params(h: &Axis, w: &Axis, groups: u32) -> Conv2dParams {
        Conv2dParams {
            stride: [h.stride, w.stride],
            dilation: [h.dilation, w.dilation],
            pad_h: h.pad,
            pad_w: w.pad,
            groups,
            clamp: Clamp::NONE,
        }
    }

    fn formula(h: &Axis, w: &Axis, [x, filter, bias]: &[Input; 3], y: [u32; 4]) -> Vec<f32> {
        let [outputs, _, _, depth] = filter.dims[..] else { unreachable!() };
        let group_outputs = outputs / (x.dims[3] / depth);
        let sum = |[n, oh, ow, o]: [u32; 4]| {
            let mut sum = bias.at(&[o]);
            for [kh, kw, c] in positions([h.taps, w.taps, depth]) {
                if let (Some(ih), Some(iw)) = (h.at(oh, kh), w.at(ow, kw)) {
                    let channel = o / group_outputs * depth + c;
                    sum += x.at(&[n, ih, iw, channel]) * filter.at(&[o, kh, kw, c]);
                }
            }
            sum as f32
        };
        positions(y).map(sum).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_both_layouts(
            (h, w) in (axis(), axis()), n in 1u32..3, depth in 1u32..6, group_outputs in 1u32..20,
            groups in 1u32..4, seed: u32,
        ) {
            let outputs = groups * group_outputs;
            let x = noise(&[n, h.input, w.input, groups * depth], seed);
            let filter = noise(&[outputs, h.taps, w.taps, depth], !seed);
            let inputs = [x, filter, noise(&[outputs], seed ^ 0x55)];
            let params = params(&h, &w, groups);
            let y = output_type(OP, bytes_of(&params), &inputs).unwrap().shape;
            let want = formula(&h, &w, &inputs, y.dims().try_into().unwrap());
            let rows = run_step(OP, bytes_of(&params), &inputs);
            prop_assert!(difference(&rows, &want) < 1e-5);
            if groups == 1 {
                let [x, filter, bias] = inputs;
                let panels = run_step(OP, bytes_of(&params), &[x, filter.packed(), bias]);
                prop_assert_eq!(rows, panels);
            }
        }

        #[test]
        fn it_meets_the_formula_with_weights_in_fewer_bytes(
            (h, w) in (axis(), axis()), n in 1u32..3, depth in 1u32..6, group_outputs in 1u32..20,
            groups in 1u32..4, seed: u32,
        ) {
            let outputs = groups * group_outputs;
            let x = noise(&[n, h.input, w.input, groups * depth], seed);
            let filter = noise(&[outputs, h.taps, w.taps, depth], !seed);
            let inputs = [x, filter, noise(&[outputs], seed ^ 0x55)];
            let params = params(&h, &w, groups);
            let y = output_type(OP, bytes_of(&params), &inputs).unwrap().shape;
            meets_with_stored_weights(STORED, bytes_of(&params), &inputs, (0, groups == 1), |inputs| {
                formula(&h, &w, inputs, y.dims().try_into().unwrap())
            });
        }
    }

    const POINT: Axis = Axis { input: 1, taps: 1, stride: 1, dilation: 1, pad: [0, 0] };

    #[test]
    fn the_clamp_bounds_the_result() {
        let params = Conv2dParams { clamp: Clamp { min: 0.0, max: 6.0 }, ..params(&POINT, &POINT, 1) };
        let inputs = [input(&[1, 1, 1, 1], &[1.0]), input(&[3, 1, 1, 1], &[-2.0, 3.0, 9.0])];
        assert_eq!(run_step(OP, bytes_of(&params), &inputs), [0.0, 3.0, 6.0]);
    }

    #[test]
    fn a_nan_reaches_the_windows_that_see_it_and_no_other() {
        let w = Axis { input: 4, taps: 2, ..POINT };
        let x = input(&[1, 1, 4, 1], &[f32::NAN, 1.0, 2.0, 3.0]);
        let y = run_step(OP, bytes_of(&params(&POINT, &w, 1)), &[x, input(&[1, 1, 2, 1], &[1.0, 1.0])]);
        assert!(y[0].is_nan());
        assert_eq!(y[1..], [3.0, 5.0]);
    }

    #[test]
    fn packed_weights_of_groups_are_refused() {
        let inputs = [noise(&[1, 1, 1, 2], 1), noise(&[4, 1, 1, 1], 2).packed()];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT, 2)), &inputs, None), Misfit::Layout(1));
    }

    #[test]
    fn channels_that_the_groups_do_not_divide_are_refused() {
        let inputs = [noise(&[1, 1, 1, 3], 1), noise(&[4, 1, 1, 1], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT, 2)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn outputs_that_the_groups_do_not_divide_are_refused() {
        let inputs = [noise(&[1, 1, 1, 2], 1), noise(&[3, 1, 1, 1], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT, 2)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn no_groups_at_all_are_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[1, 1, 1, 1], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT, 0)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn a_bias_of_another_length_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[2, 1, 1, 1], 2), noise(&[3], 3)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT, 1)), &inputs, None), Misfit::Shape(2));
    }

    #[test]
    fn inputs_of_another_rank_are_refused() {
        let (x, filter) = (noise(&[1, 1, 1, 1], 1), noise(&[1, 1, 1, 1], 2));
        let refused = |inputs: &[Input]| refusal(OP, bytes_of(&params(&POINT, &POINT, 1)), inputs, None);
        assert_eq!(refused(&[noise(&[1, 1, 1], 1), filter]), Misfit::Rank(0));
        assert_eq!(refused(&[x, noise(&[1, 1, 1], 1)]), Misfit::Rank(1));
    }

    #[test]
    fn a_window_past_the_padded_input_is_refused() {
        let inputs = [noise(&[1, 2, 1, 1], 1), noise(&[1, 3, 1, 1], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT, 1)), &inputs, None), Misfit::Shape(0));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[1, 1, 1, 1], 2)];
        let good = params(&POINT, &POINT, 1);
        for bad in [
            Conv2dParams { stride: [0, 1], ..good },
            Conv2dParams { dilation: [1, 0], ..good },
            Conv2dParams { pad_h: [1 << 30, 0], ..good },
            Conv2dParams { clamp: Clamp { min: 1.0, max: 0.0 }, ..good },
            Conv2dParams { clamp: Clamp { min: f32::NAN, max: 0.0 }, ..good },
        ] {
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        let ones = [input(&[1, 1, 1, 1], &[1.0]), input(&[1, 1, 1, 1], &[1.0]), input(&[1], &[1.0])];
        refuses_other_operands(OP, bytes_of(&params(&POINT, &POINT, 1)), &ones, true, 0);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[2, 1, 1, 1], 2)];
        let output = noise(&[1, 1, 1, 3], 0).tensor_type();
        assert_eq!(
            refusal(OP, bytes_of(&params(&POINT, &POINT, 1)), &inputs, Some(output)),
            Misfit::Shape(2)
        );
    }

    #[test]
    fn other_operands_beside_weights_in_fewer_bytes_are_refused() {
        let dims: [&[u32]; 3] = [&[1; 4], &[1; 4], &[1]];
        refuses_other_operands_with_stored_weights(STORED, bytes_of(&params(&POINT, &POINT, 1)), dims, true);
    }
}
