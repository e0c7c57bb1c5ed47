//! 2-D convolution of 8-bit integers: `y[n, oh, ow, o] = requantize(bias[o] + Σ (x[n, oh · sh + kh · dh −
//! pad, …, c] − zx) · (w[o, kh, kw, c] − zw))` over the taps that lie inside the input, where `bias`
//! in the file has `−zx · Σ (w − zw)` over all taps in it. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape                | layouts |
//! |---------|-------|----------------------|---------|
//! | x       | i8    | `[N, H, W, C]`         | rows    |
//! | w       | i8    | `[O, KH, KW, C / G]`   | rows; pairs, panel16x4 if G = 1 |
//! | bias    | i32   | `[O]`                  | rows    |
//! | requant | i32   | `[O, 2]` or `[1, 2]`     | rows; constant multipliers |
//! | y       | i8    | `[N, OH, OW, O]`       | rows    |
//!
//! The rule proves the shapes, that strides and dilations are at least 1, that positions fit `i32`, that
//! multipliers and zero points are in their domains, and that y shares no memory with an input but as
//! rows may overlap.

use crate::arch::{Active, Arch, OutputsI8, Scratch};
use crate::conv::Images;
use crate::gemm_i8::{WeightsI8, weights_and_outputs};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::rows::Rows;
use crate::window::Moves;
use flatpack_format::OpCode;
use flatpack_format::ops::conv_2d_i8::{Conv2dI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::Conv2dI8, RULE, run::<A, false>)
}

/// The kernel with no loops but an instruction set's over images: less code, for weights in layout `pairs` and what
/// else [`Arch::WHOLE_IMAGES`] demands. It refuses other steps.
pub const LEAN: Kernel = if Active::WHOLE_IMAGES { KERNEL.by(run::<Active, true>) } else { KERNEL };

fn run<A: Arch, const LEAN: bool>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &Conv2dI8Params = node.params()?;
    let [_, kh, kw, depth] = node.input_dims(1)?;
    let mut memory = Rows::of(node, &RULE, operands);
    let (reads, rows) = memory.as_mut()?;
    let mut scratch = A::Scratch::new();
    let (w, OutputsI8 { bias, requant, plain, y }) = weights_and_outputs::<A>(node, reads, params.y)?;
    let weights = WeightsI8 {
        w,
        layout: node.input(1)?.layout(),
        bias,
        requant,
        depth: kh * kw * depth,
        x_zero_point: params.x_zero_point,
        w_zero_point: params.w_zero_point,
        folded: true,
        y,
        plain,
        quads: &[],
    };
    let &Conv2dI8Params { stride, dilation, pad_h, pad_w, groups, .. } = params;
    let moves = Moves { stride, dilation, pad: [pad_h, pad_w] };
    let layers = Images::of(node, &moves, groups, rows.are_points())?;
    if groups == 1 {
        let images = weights.of_images().and_then(|weights| {
            rows.each(|band| {
                let image = layers.image(params.x_zero_point, &band);
                node.threads().compute(
                    &image,
                    kh * kw * depth,
                    band.x,
                    band.y,
                    |image, x, y| weights.run::<A>(&mut scratch, image, x, y),
                    |image, x, y| weights.run::<A>(&mut A::Scratch::new(), image, x, y),
                )
            })
        });
        if images.is_some() || LEAN {
            return images;
        }
    } else if LEAN {
        return None;
    }
    let weights = WeightsI8 { quads: scratch.quads(2 * (kh * kw * depth).div_ceil(4)), ..weights };
    rows.each(|band| layers.run::<A, _>(weights, band))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{Axis, Input, axis, integers, output_type, positions, refusal, run as run_step};
    use crate::one_step_i8::{
        BAD_OUTPUTS, OPEN, floats, folded, output_i8, point, refuses_other_weights, requant_of, requantized,
        weighted, zero_point,
    };
    use bytemuck::bytes_of;
    use flatpack_format::ops::OutputI8;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const OP: OpCode = OpCode::Conv2dI8;

    fn params(h: &Axis, w: &Axis, groups: u32) -> Conv2dI8Params {
        Conv2dI8Params {
            stride: [h.stride, w.stride],
            dilation: [h.dilation, w.dilation],
            pad_h: h.pad,
            pad_w: w.pad,
            groups,
            x_zero_point: 0,
            w_zero_point: 0,
            y: OPEN,
        }
    }

    /// With a bias that has nothing else in it.
    fn formula(
        h: &Axis,
        w: &Axis,
        [x, filter, bias, requant]: &[Input; 4],
        params: &Conv2dI8Params,
        y: [u32; 4],
    ) -> Vec<f32> {
        let [outputs, _, _, depth] = filter.dims[..] else { unreachable!() };
        let group_outputs = outputs / params.groups;
        let (zx, zw) = (i64::from(params.x_zero_point), i64::from(params.w_zero_point));
        let element = |[n, oh, ow, o]: [u32; 4]| {
            let mut sum = bias.int(&[o]);
            for [kh, kw, i] in positions([h.taps, w.taps, depth]) {
                if let (Some(ih), Some(iw)) = (h.at(oh, kh), w.at(ow, kw)) {
                    let x = x.int(&[n, ih, iw, o / group_outputs * depth + i]) - zx;
                    sum += x * (filter.int(&[o, kh, kw, i]) - zw);
                }
            }
            requantized(sum, requant, o, &params.y)
        };
        floats(positions(y).map(element))
    }

    proptest! {
        #[test]
        fn it_meets_the_formula(
            (h, w) in (axis(), axis()), n in 1u32..3, depth in 1u32..20, group_outputs in 1u32..7,
            groups in prop_oneof![Just(1u32), 1u32..4], one: bool,
            zx in zero_point(), zw in prop_oneof![Just(0), zero_point()], y in output_i8(), seed: u32,
        ) {
            let outputs = groups * group_outputs;
            let x = [n, h.input, w.input, groups * depth];
            let inputs = weighted(&x, &[outputs, h.taps, w.taps, depth], outputs, one, seed);
            let params = Conv2dI8Params { x_zero_point: zx, w_zero_point: zw, y, ..params(&h, &w, groups) };
            let shape = output_type(OP, bytes_of(&params), &inputs).unwrap().shape;
            let want = formula(&h, &w, &inputs, &params, shape.dims().try_into().unwrap());
            let taps = || positions([h.taps, w.taps, depth]);
            let stored = folded(&inputs, zx, |o| {
                taps().map(|[kh, kw, i]| inputs[1].int(&[o, kh, kw, i]) - i64::from(zw)).sum()
            });
            prop_assert_eq!(&run_step(OP, bytes_of(&params), &stored), &want);
            let [x, w, bias, requant] = stored;
            if groups == 1 {
                for w in [w.in_pairs(), w.in_panels()] {
                    let inputs = [x.clone(), w, bias.clone(), requant.clone()];
                    prop_assert_eq!(&run_step(OP, bytes_of(&params), &inputs), &want);
                }
            }
        }
    }

    const POINT: Axis = Axis { input: 1, taps: 1, stride: 1, dilation: 1, pad: [0, 0] };

    #[test]
    fn other_layouts_of_groups_are_refused() {
        let [_, w, bias, requant] = point(&[2, 1, 1, 1], &[1, 2], &[0, 0]);
        let params = params(&POINT, &POINT, 2);
        for w in [w.in_pairs(), w.in_panels()] {
            let inputs = [integers(&[1, 1, 1, 2], 1, DType::I8), w, bias.clone(), requant.clone()];
            assert_eq!(refusal(OP, bytes_of(&params), &inputs, None), Misfit::Layout(1));
        }
    }

    #[test]
    fn the_zero_point_is_added_and_the_bounds_hold() {
        let y = OutputI8 { zero_point: 10, min: 10, max: 60 };
        let params = Conv2dI8Params { y, ..params(&POINT, &POINT, 1) };
        let inputs = point(&[3, 1, 1, 1], &[-2, 3, 90], &[0, 1, 0]);
        assert_eq!(run_step(OP, bytes_of(&params), &inputs), [10.0, 14.0, 60.0]);
    }

    #[test]
    fn sums_wrap() {
        let [x, w, bias, _] = point(&[1; 4], &[1], &[i32::MAX]);
        let inputs = [x, w, bias, requant_of(1, i32::MAX, 0)];
        assert_eq!(run_step(OP, bytes_of(&params(&POINT, &POINT, 1)), &inputs), [-128.0]);
    }

    #[test]
    fn channels_that_the_groups_do_not_divide_are_refused() {
        let inputs = weighted(&[1, 1, 1, 3], &[4, 1, 1, 1], 4, true, 1);
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT, 2)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn outputs_that_the_groups_do_not_divide_are_refused() {
        let inputs = weighted(&[1, 1, 1, 2], &[3, 1, 1, 1], 3, true, 1);
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT, 2)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn no_groups_at_all_are_refused() {
        let inputs = point(&[1; 4], &[1], &[0]);
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT, 0)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn inputs_of_another_rank_are_refused() {
        let [x, w, bias, requant] = point(&[1; 4], &[1], &[0]);
        let flat = integers(&[1, 1, 1], 1, DType::I8);
        let refused = |x: &Input, w: &Input| {
            let inputs = [x.clone(), w.clone(), bias.clone(), requant.clone()];
            refusal(OP, bytes_of(&params(&POINT, &POINT, 1)), &inputs, None)
        };
        assert_eq!(refused(&flat, &w), Misfit::Rank(0));
        assert_eq!(refused(&x, &flat), Misfit::Rank(1));
    }

    #[test]
    fn a_window_past_the_padded_input_is_refused() {
        let inputs = weighted(&[1, 2, 1, 1], &[1, 3, 1, 1], 1, true, 1);
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT, 1)), &inputs, None), Misfit::Shape(0));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let good = params(&POINT, &POINT, 1);
        let bad = [
            Conv2dI8Params { stride: [0, 1], ..good },
            Conv2dI8Params { dilation: [1, 0], ..good },
            Conv2dI8Params { pad_h: [1 << 30, 0], ..good },
            Conv2dI8Params { x_zero_point: 128, ..good },
            Conv2dI8Params { w_zero_point: -129, ..good },
        ];
        for bad in bad.into_iter().chain(BAD_OUTPUTS.map(|y| Conv2dI8Params { y, ..good })) {
            let inputs = point(&[1; 4], &[1], &[0]);
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        for outputs in [1, 2] {
            let (w, bias) = (vec![1; outputs as usize], vec![0; outputs as usize]);
            let inputs = point(&[outputs, 1, 1, 1], &w, &bias);
            refuses_other_weights(OP, bytes_of(&params(&POINT, &POINT, 1)), &inputs);
        }
    }
}
