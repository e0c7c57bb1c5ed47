//! Depthwise 2-D convolution: `y[n, oh, ow, o] = clamp(bias[o] + Σ x[n, oh · sh + kh · dh − pad, …,
//! o / multiplier] · w[kh, kw, o])`, summed in the order of kh, kw over the taps that lie inside the
//! input; `multiplier = O / C`.
//!
//! | operand | dtype | shape          | layouts             |
//! |---------|-------|----------------|---------------------|
//! | x       | f32   | `[N, H, W, C]`   | rows                |
//! | w       | f32   | `[KH, KW, O]`    | rows                |
//! | bias    | f32   | `[O]`            | rows; may be absent |
//! | y       | f32   | `[N, OH, OW, O]` | rows                |
//!
//! The rule proves the shapes, that C divides O, that strides and dilations are at least 1, that
//! positions fit `i32`, and that y shares no memory with an input but as rows may overlap.

use crate::arch::{Active, Arch, Image, LANES, OutputsF32, Patch};
use crate::conv::Product;
use crate::depthwise::Layers;
use crate::gemm::{begin, end, scales_and_bias};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use crate::rows::Rows;
use crate::weight::Weight;
use crate::window::Moves;
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::depthwise_conv_2d::{DepthwiseConv2dParams, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::DepthwiseConv2d, RULE, run::<A, f32>)
}

struct Weights<'a, W> {
    w: &'a [W],
    scales: &'a [f32],
    bias: &'a [f32],
    /// Outputs of a channel.
    multiplier: usize,
    clamp: Clamp,
}

pub(crate) fn run<A: Arch, W: Weight>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &DepthwiseConv2dParams = node.params()?;
    let mut memory = Rows::of(node, &RULE, operands);
    let (reads, rows) = memory.as_mut()?;
    let [.., channels] = node.input_dims::<4>(0)?;
    let [.., outputs] = node.input_dims::<3>(1)?;
    let (scales, bias) = scales_and_bias::<W>(node, reads)?;
    let weights = Weights::<W> {
        w: reads.get(node.input(1)?)?,
        scales,
        bias: bias.unwrap_or_default(),
        multiplier: outputs.checked_div(channels)?,
        clamp: params.clamp,
    };
    let &DepthwiseConv2dParams { stride, dilation, pad_h, pad_w, .. } = params;
    let moves = Moves { stride, dilation, pad: [pad_h, pad_w] };
    let layers = Layers::of(node, &moves)?;
    let outputs = OutputsF32 { scales, bias: weights.bias, clamp: params.clamp };
    rows.each(|band| {
        let image = layers.image(&moves, 0, &band);
        let image_of = |image: &Image, x: &[f32], y: &mut [f32]| {
            A::depthwise_image_f32(image, weights.w, &outputs, x, y)
        };
        let taps = image.taps.iter().product();
        match node.threads().compute(&image, taps, band.x, band.y, image_of, image_of) {
            Some(()) => Some(()),
            None => layers.run::<A, _>(&weights, band),
        }
    })
}

impl<W: Weight> Product for Weights<'_, W> {
    type Element = f32;

    fn pixels<A: Arch, const P: usize>(
        &self,
        patch: &Patch<'_, P>,
        _: bool,
        mut y: [&mut [f32]; P],
    ) -> Option<()> {
        for y in &mut y {
            begin::<W>(y, self.bias);
        }
        if self.multiplier == 1 && patch.len >= LANES {
            A::depthwise_f32(patch, self.w, &mut y)?;
        } else {
            y.iter_mut().enumerate().try_for_each(|(p, y)| self.pixel(&patch.pixel(p)?, y))?;
        }
        for y in y {
            end::<A, W>(y, self.scales, self.bias, self.clamp);
        }
        Some(())
    }
}

impl<W: Weight> Weights<'_, W> {
    /// Any number of channels and of outputs a channel.
    fn pixel(&self, patch: &Patch<'_, 1>, y: &mut [f32]) -> Option<()> {
        let multiplier = self.multiplier;
        let [x] = patch.x;
        patch.try_each_tap(|x_at, w_at| {
            let mut x = x.get(x_at..)?.iter();
            let mut w = pieces(self.w.get(w_at..)?, multiplier);
            for y in pieces_mut(y, multiplier) {
                let (x, w) = (x.next()?, w.next()?);
                for (y, w) in y.iter_mut().zip(w) {
                    *y += x * w.real();
                }
            }
            Some(())
        })
    }
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
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::DepthwiseConv2d;
    const STORED: [OpCode; 2] = [OpCode::DepthwiseConv2dW8, OpCode::DepthwiseConv2dW16];

    fn params(h: &Axis, w: &Axis) -> DepthwiseConv2dParams {
        DepthwiseConv2dParams {
            stride: [h.stride, w.stride],
            dilation: [h.dilation, w.dilation],
            pad_h: h.pad,
            pad_w: w.pad,
            clamp: Clamp::NONE,
        }
    }

    fn formula(h: &Axis, w: &Axis, [x, filter, bias]: &[Input; 3], y: [u32; 4]) -> Vec<f32> {
        let multiplier = filter.dims[2] / x.dims[3];
        let sum = |[n, oh, ow, o]: [u32; 4]| {
            let mut sum = bias.at(&[o]);
            for [kh, kw] in positions([h.taps, w.taps]) {
                if let (Some(ih), Some(iw)) = (h.at(oh, kh), w.at(ow, kw)) {
                    sum += x.at(&[n, ih, iw, o / multiplier]) * filter.at(&[kh, kw, o]);
                }
            }
            sum as f32
        };
        positions(y).map(sum).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula(
            (h, w) in (axis(), axis()), n in 1u32..3, channels in 1u32..36,
            multiplier in prop_oneof![Just(1u32), 2u32..12], seed: u32,
        ) {
            let outputs = channels * multiplier;
            let x = noise(&[n, h.input, w.input, channels], seed);
            let inputs = [x, noise(&[h.taps, w.taps, outputs], !seed), noise(&[outputs], seed ^ 0x55)];
            let params = params(&h, &w);
            let y = output_type(OP, bytes_of(&params), &inputs).unwrap().shape;
            let want = formula(&h, &w, &inputs, y.dims().try_into().unwrap());
            prop_assert!(difference(&run_step(OP, bytes_of(&params), &inputs), &want) < 1e-5);
        }

        #[test]
        fn it_meets_the_formula_with_weights_in_fewer_bytes(
            (h, w) in (axis(), axis()), n in 1u32..3, channels in 1u32..36,
            multiplier in prop_oneof![Just(1u32), 2u32..12], seed: u32,
        ) {
            let outputs = channels * multiplier;
            let x = noise(&[n, h.input, w.input, channels], seed);
            let inputs = [x, noise(&[h.taps, w.taps, outputs], !seed), noise(&[outputs], seed ^ 0x55)];
            let params = params(&h, &w);
            let y = output_type(OP, bytes_of(&params), &inputs).unwrap().shape;
            meets_with_stored_weights(STORED, bytes_of(&params), &inputs, (2, false), |inputs| {
                formula(&h, &w, inputs, y.dims().try_into().unwrap())
            });
        }
    }

    const POINT: Axis = Axis { input: 1, taps: 1, stride: 1, dilation: 1, pad: [0, 0] };

    #[test]
    fn the_clamp_bounds_the_result() {
        let params = DepthwiseConv2dParams { clamp: Clamp { min: 0.0, max: 6.0 }, ..params(&POINT, &POINT) };
        let filter = input(&[1, 1, 3], &[-2.0, 3.0, 9.0]);
        for x in [input(&[1, 1, 1, 1], &[1.0]), input(&[1, 1, 1, 3], &[1.0; 3])] {
            assert_eq!(run_step(OP, bytes_of(&params), &[x, filter.clone()]), [0.0, 3.0, 6.0]);
        }
    }

    #[test]
    fn packed_weights_are_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[1, 1, 1], 2).packed()];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None), Misfit::Layout(1));
    }

    #[test]
    fn outputs_that_the_channels_do_not_divide_are_refused() {
        let inputs = [noise(&[1, 1, 1, 2], 1), noise(&[1, 1, 3], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn a_bias_of_another_length_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[1, 1, 2], 2), noise(&[3], 3)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None), Misfit::Shape(2));
    }

    #[test]
    fn inputs_of_another_rank_are_refused() {
        let (x, filter) = (noise(&[1, 1, 1, 1], 1), noise(&[1, 1, 1], 2));
        let refused = |inputs: &[Input]| refusal(OP, bytes_of(&params(&POINT, &POINT)), inputs, None);
        assert_eq!(refused(&[noise(&[1, 1, 1], 1), filter]), Misfit::Rank(0));
        assert_eq!(refused(&[x, noise(&[1, 1, 1, 1], 1)]), Misfit::Rank(1));
    }

    #[test]
    fn a_window_past_the_padded_input_is_refused() {
        let inputs = [noise(&[1, 2, 1, 1], 1), noise(&[3, 1, 1], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None), Misfit::Shape(0));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[1, 1, 1], 2)];
        let good = params(&POINT, &POINT);
        for bad in [
            DepthwiseConv2dParams { stride: [0, 1], ..good },
            DepthwiseConv2dParams { dilation: [1, 0], ..good },
            DepthwiseConv2dParams { pad_w: [0, 1 << 30], ..good },
            DepthwiseConv2dParams { clamp: Clamp { min: 1.0, max: 0.0 }, ..good },
        ] {
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        let ones = [input(&[1, 1, 1, 1], &[1.0]), input(&[1, 1, 1], &[1.0]), input(&[1], &[1.0])];
        refuses_other_operands(OP, bytes_of(&params(&POINT, &POINT)), &ones, false, 0);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let inputs = [noise(&[1, 1, 1, 1], 1), noise(&[1, 1, 2], 2)];
        let output = noise(&[1, 1, 1, 3], 0).tensor_type();
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, Some(output)), Misfit::Shape(2));
    }

    #[test]
    fn other_operands_beside_weights_in_fewer_bytes_are_refused() {
        let dims: [&[u32]; 3] = [&[1; 4], &[1; 3], &[1]];
        refuses_other_operands_with_stored_weights(STORED, bytes_of(&params(&POINT, &POINT)), dims, false);
    }
}
