//! Depthwise 2-D convolution of 8-bit integers: `y[n, oh, ow, o] = requantize(bias[o] + Σ (x[n, oh · sh +
//! kh · dh − pad, …, o / multiplier] − zx) · (w[kh, kw, o] − zw))` over the taps that lie inside the
//! input, where `bias` in the file has `−zx · Σ (w − zw)` over all taps in it; `multiplier = O / C`. As
//! TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape            | layouts |
//! |---------|-------|------------------|---------|
//! | x       | i8    | `[N, H, W, C]`     | rows    |
//! | w       | i8    | `[KH, KW, O]`      | rows    |
//! | bias    | i32   | `[O]`              | rows    |
//! | requant | i32   | `[O, 2]` or `[1, 2]` | rows; constant multipliers |
//! | y       | i8    | `[N, OH, OW, O]`   | rows    |
//!
//! The rule proves the shapes, that C divides O, that strides and dilations are at least 1, that
//! positions fit `i32`, that multipliers and zero points are in their domains, and that y shares no
//! memory with an input but as rows may overlap.

use crate::arch::{Active, Arch, LANES, OutputsI8, Patch, Scratch};
use crate::conv::Product;
use crate::depthwise::Layers;
use crate::fixed;
use crate::gemm_i8::weights_and_outputs;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::pieces;
use crate::rows::Rows;
use crate::window::Moves;
use flatpack_format::OpCode;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::depthwise_conv_2d_i8::{DepthwiseConv2dI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::DepthwiseConv2dI8, RULE, run::<A, false>)
}

/// The kernel with no loops but an instruction set's over images: less code, for one output a channel and what else
/// [`Arch::WHOLE_IMAGES`] demands. It refuses other steps.
pub const LEAN: Kernel = if Active::WHOLE_IMAGES { KERNEL.by(run::<Active, true>) } else { KERNEL };

/// The kernel of steps with one window that sees all of x, each channel with one output, where the instruction set has a
/// loop for those: without other loops. It refuses other steps.
pub const ONE_WINDOW: Kernel = if Active::WHOLE_WINDOWS { KERNEL.by(run_window::<Active>) } else { KERNEL };

struct Weights<'a> {
    w: &'a [i8],
    bias: &'a [i32],
    requant: &'a [Multiplier],
    outputs: usize,
    /// Outputs of a channel.
    multiplier: usize,
    /// The bias without what it has of the zero point of x; empty where there is no room for it, or all windows are whole.
    unfolded: &'a [i32],
    /// See [`Multiplier::all_plain`].
    plain: bool,
    params: &'a DepthwiseConv2dI8Params,
}

fn run<A: Arch, const LEAN: bool>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &DepthwiseConv2dI8Params = node.params()?;
    let mut memory = Rows::of(node, &RULE, operands);
    let (reads, rows) = memory.as_mut()?;
    let [.., channels] = node.input_dims::<4>(0)?;
    let [.., outputs] = node.input_dims::<3>(1)?;
    let (w, of_sums) = weights_and_outputs::<A>(node, reads, params.y)?;
    let OutputsI8 { bias, requant, plain, .. } = of_sums;
    let mut weights = Weights {
        w,
        bias,
        unfolded: &[],
        requant,
        plain,
        outputs,
        multiplier: outputs.checked_div(channels)?,
        params,
    };
    let &DepthwiseConv2dI8Params { stride, dilation, pad_h, pad_w, .. } = params;
    let moves = Moves { stride, dilation, pad: [pad_h, pad_w] };
    let layers = Layers::of(node, &moves)?;
    let mut scratch = A::Scratch::new();
    if weights.suit_loops() {
        let images = rows.each(|band| {
            let image = layers.image(&moves, params.x_zero_point, &band);
            node.threads().compute(
                &image,
                image.taps.iter().product(),
                band.x,
                band.y,
                |image, x, y| {
                    // A lean kernel is of steps with other windows.
                    let at_once = !LEAN && A::WHOLE_WINDOWS && image.is_seen_at_once();
                    let window = at_once.then(|| A::depthwise_window_i8(w, &of_sums, x, y)).flatten();
                    window.or_else(|| A::depthwise_image_i8(&mut scratch, image, w, &of_sums, x, y))
                },
                |image, x, y| A::depthwise_image_i8(&mut A::Scratch::new(), image, w, &of_sums, x, y),
            )
        });
        if images.is_some() || LEAN {
            return images;
        }
        if !layers.are_whole() {
            let unfolded = scratch.words(weights.outputs);
            unfold(w, bias, params, unfolded);
            weights.unfolded = unfolded;
        }
    } else if LEAN {
        return None;
    }
    rows.each(|band| layers.run::<A, _>(&weights, band))
}

fn run_window<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &DepthwiseConv2dI8Params = node.params()?;
    let ([1, h, width, channels], [1, 1, 1, _]) = (node.input_dims(0)?, node.output_dims()?) else {
        return None;
    };
    let pads = [params.pad_h, params.pad_w];
    if node.input_dims(1)? != [h, width, channels] || pads != [[0; 2]; 2] || params.w_zero_point != 0 {
        return None;
    }
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let (w, outputs) = weights_and_outputs::<A>(node, &reads, params.y)?;
    A::depthwise_window_i8(w, &outputs, reads.get(node.input(0)?)?, y)
}

/// Puts the bias into `to`, without what it has of the zero point of x.
fn unfold(w: &[i8], bias: &[i32], params: &DepthwiseConv2dI8Params, to: &mut [i32]) {
    if to.is_empty() {
        return;
    }
    to.iter_mut().zip(bias).for_each(|(to, bias)| *to = *bias);
    for w in pieces(w, to.len()) {
        for (to, &w) in to.iter_mut().zip(w) {
            let steps = i32::from(w).wrapping_sub(params.w_zero_point);
            *to = to.wrapping_add(params.x_zero_point.wrapping_mul(steps));
        }
    }
}

impl Product for Weights<'_> {
    type Element = i8;

    fn pixels<A: Arch, const P: usize>(
        &self,
        patch: &Patch<'_, P, i8>,
        whole: bool,
        mut y: [&mut [i8]; P],
    ) -> Option<()> {
        let offset = if whole { 0 } else { (self.params.x_zero_point as i16).wrapping_neg() };
        let mut done = 0;
        if self.suit_loops() {
            let &Weights { requant, plain, .. } = self;
            let bias = if whole { self.bias } else { self.unfolded };
            let outputs = OutputsI8 { bias, requant, plain, y: self.params.y };
            done = A::depthwise_i8(patch, offset, self.w, &outputs, &mut y).unwrap_or(0);
            if done == self.outputs {
                return Some(());
            }
        }
        // A last tile begins early enough to be a whole one.
        match (self.outputs.checked_sub(LANES), self.multiplier.checked_sub(LANES)) {
            (Some(last), _) if self.multiplier == 1 => {
                for first in (done..last).step_by(LANES).chain([last]) {
                    let mut sums = [self.start(first, whole)?; P];
                    self.tile::<A, P>(patch, offset, first, &mut sums)?;
                    self.finish(&sums, first, &mut y)?;
                }
            }
            (_, Some(last)) if self.params.w_zero_point == 0 => {
                for channel in 0..patch.len {
                    let x = patch.x.map(|x| x.get(channel..).unwrap_or_default());
                    for first in (0..last).step_by(LANES).chain([last]) {
                        let first = channel * self.multiplier + first;
                        let mut sums = [self.start(first, whole)?; P];
                        let patch = Patch { x, ..*patch };
                        A::gemm_tile_i8_columns(&patch, offset, self.w.get(first..)?, &mut sums)?;
                        self.finish(&sums, first, &mut y)?;
                    }
                }
            }
            _ => {
                for first in (done..self.outputs).step_by(LANES) {
                    let mut sums = [self.start(first, whole)?; P];
                    for (p, sums) in sums.iter_mut().enumerate() {
                        self.lanes(&patch.pixel(p)?, offset, first, sums)?;
                    }
                    self.finish(&sums, first, &mut y)?;
                }
            }
        }
        Some(())
    }
}

impl Weights<'_> {
    /// Whether they are such as [`Arch::depthwise_i8`] takes.
    fn suit_loops(&self) -> bool {
        self.multiplier == 1 && self.params.w_zero_point == 0
    }

    /// What the sums from output `first` on begin with: the bias, without what it has of the zero point
    /// of x if not all taps of the window are seen.
    fn start(&self, first: usize, whole: bool) -> Option<[i32; LANES]> {
        let mut sums = [0i32; LANES];
        let (zx, zw) = (self.params.x_zero_point, self.params.w_zero_point);
        if !whole {
            for w in pieces(self.w, self.outputs) {
                for (sum, &w) in sums.iter_mut().zip(w.get(first..)?) {
                    *sum = sum.wrapping_add(zx.wrapping_mul(i32::from(w).wrapping_sub(zw)));
                }
            }
        }
        for (sum, bias) in sums.iter_mut().zip(self.bias.get(first..)?) {
            *sum = sum.wrapping_add(*bias);
        }
        Some(sums)
    }

    /// One output a channel: adds to the sums of 8 channels.
    fn tile<A: Arch, const P: usize>(
        &self,
        patch: &Patch<'_, P, i8>,
        offset: i16,
        first: usize,
        sums: &mut [[i32; LANES]; P],
    ) -> Option<()> {
        let x = patch.x.map(|x| x.get(first..).unwrap_or_default());
        let patch = Patch { x, ..*patch };
        A::depthwise_tile_i8(&patch, offset, self.w.get(first..)?, sums)?;
        if self.params.w_zero_point != 0 {
            let taps = patch.counts.iter().product::<usize>() as i32;
            for (p, sums) in sums.iter_mut().enumerate() {
                let mut of_x = [taps.wrapping_mul(offset.into()); LANES];
                A::sum_tile_i8(&patch.pixel(p)?, &mut of_x)?;
                for (sum, x) in sums.iter_mut().zip(of_x) {
                    *sum = sum.wrapping_sub(x.wrapping_mul(self.params.w_zero_point));
                }
            }
        }
        Some(())
    }

    /// Any number of channels and of outputs a channel: adds to the sums of up to 8 outputs.
    fn lanes(
        &self,
        patch: &Patch<'_, 1, i8>,
        offset: i16,
        first: usize,
        sums: &mut [i32; LANES],
    ) -> Option<()> {
        let mut channels = [0; LANES];
        for (lane, channel) in channels.iter_mut().enumerate() {
            *channel = (first + lane).min(self.outputs.checked_sub(1)?).checked_div(self.multiplier)?;
        }
        let [x] = patch.x;
        let count = self.outputs.checked_sub(first)?.min(LANES);
        patch.try_each_tap(|x_at, w_at| {
            let (x, w) = (x.get(x_at..)?, self.w.get(w_at..)?.get(first..)?);
            for ((sum, &w), &channel) in sums.iter_mut().zip(w).zip(&channels).take(count) {
                let x = i32::from(*x.get(channel)?).wrapping_add(offset.into());
                let w = i32::from(w).wrapping_sub(self.params.w_zero_point);
                *sum = sum.wrapping_add(x.wrapping_mul(w));
            }
            Some(())
        })
    }

    fn finish<const P: usize>(
        &self,
        sums: &[[i32; LANES]; P],
        first: usize,
        y: &mut [&mut [i8]; P],
    ) -> Option<()> {
        for (sums, y) in sums.iter().zip(y) {
            for ((o, sum), y) in (first..).zip(sums).zip(y.get_mut(first..)?) {
                let by = fixed::of_output(self.requant, o)?;
                *y = fixed::requantize(*sum, by, &self.params.y);
            }
        }
        Some(())
    }
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

    const OP: OpCode = OpCode::DepthwiseConv2dI8;

    fn params(h: &Axis, w: &Axis) -> DepthwiseConv2dI8Params {
        DepthwiseConv2dI8Params {
            stride: [h.stride, w.stride],
            dilation: [h.dilation, w.dilation],
            pad_h: h.pad,
            pad_w: w.pad,
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
        [zx, zw]: [i32; 2],
        to: &OutputI8,
        y: [u32; 4],
    ) -> Vec<f32> {
        let multiplier = filter.dims[2] / x.dims[3];
        let element = |[n, oh, ow, o]: [u32; 4]| {
            let mut sum = bias.int(&[o]);
            for [kh, kw] in positions([h.taps, w.taps]) {
                if let (Some(ih), Some(iw)) = (h.at(oh, kh), w.at(ow, kw)) {
                    let x = x.int(&[n, ih, iw, o / multiplier]) - i64::from(zx);
                    sum += x * (filter.int(&[kh, kw, o]) - i64::from(zw));
                }
            }
            requantized(sum, requant, o, to)
        };
        floats(positions(y).map(element))
    }

    proptest! {
        #[test]
        fn it_meets_the_formula(
            (h, w) in (axis(), axis()), n in 1u32..3, channels in 1u32..36,
            multiplier in prop_oneof![Just(1u32), 2u32..12], one: bool,
            zx in zero_point(), zw in prop_oneof![Just(0), zero_point()], y in output_i8(), seed: u32,
        ) {
            let outputs = channels * multiplier;
            let x = [n, h.input, w.input, channels];
            let inputs = weighted(&x, &[h.taps, w.taps, outputs], outputs, one, seed);
            let params = DepthwiseConv2dI8Params { x_zero_point: zx, w_zero_point: zw, y, ..params(&h, &w) };
            let shape = output_type(OP, bytes_of(&params), &inputs).unwrap().shape;
            let want = formula(&h, &w, &inputs, [zx, zw], &y, shape.dims().try_into().unwrap());
            let taps = || positions([h.taps, w.taps]);
            let stored = folded(&inputs, zx, |o| {
                taps().map(|[kh, kw]| inputs[1].int(&[kh, kw, o]) - i64::from(zw)).sum()
            });
            prop_assert_eq!(run_step(OP, bytes_of(&params), &stored), want);
        }
    }

    const POINT: Axis = Axis { input: 1, taps: 1, stride: 1, dilation: 1, pad: [0, 0] };

    #[test]
    fn the_zero_point_is_added_and_the_bounds_hold() {
        let y = OutputI8 { zero_point: 10, min: 10, max: 60 };
        let params = DepthwiseConv2dI8Params { y, ..params(&POINT, &POINT) };
        let inputs = point(&[1, 1, 3], &[-2, 3, 90], &[0, 1, 0]);
        assert_eq!(run_step(OP, bytes_of(&params), &inputs), [10.0, 14.0, 60.0]);
    }

    #[test]
    fn sums_wrap() {
        let [x, w, bias, _] = point(&[1, 1, 1], &[1], &[i32::MAX]);
        let inputs = [x, w, bias, requant_of(1, i32::MAX, 0)];
        assert_eq!(run_step(OP, bytes_of(&params(&POINT, &POINT)), &inputs), [-128.0]);
    }

    #[test]
    fn outputs_that_the_channels_do_not_divide_are_refused() {
        let [_, w, bias, requant] = point(&[1, 1, 3], &[1; 3], &[0; 3]);
        let inputs = [integers(&[1, 1, 1, 2], 1, DType::I8), w, bias, requant];
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn inputs_of_another_rank_are_refused() {
        let [x, w, bias, requant] = point(&[1, 1, 1], &[1], &[0]);
        let refused = |x: &Input, w: &Input| {
            let inputs = [x.clone(), w.clone(), bias.clone(), requant.clone()];
            refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None)
        };
        assert_eq!(refused(&integers(&[1, 1, 1], 1, DType::I8), &w), Misfit::Rank(0));
        assert_eq!(refused(&x, &integers(&[1, 1, 1, 1], 1, DType::I8)), Misfit::Rank(1));
    }

    #[test]
    fn a_window_past_the_padded_input_is_refused() {
        let inputs = weighted(&[1, 2, 1, 1], &[3, 1, 1], 1, true, 1);
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &inputs, None), Misfit::Shape(0));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let good = params(&POINT, &POINT);
        let bad = [
            DepthwiseConv2dI8Params { stride: [0, 1], ..good },
            DepthwiseConv2dI8Params { dilation: [1, 0], ..good },
            DepthwiseConv2dI8Params { pad_w: [0, 1 << 30], ..good },
            DepthwiseConv2dI8Params { x_zero_point: -129, ..good },
            DepthwiseConv2dI8Params { w_zero_point: 128, ..good },
        ];
        for bad in bad.into_iter().chain(BAD_OUTPUTS.map(|y| DepthwiseConv2dI8Params { y, ..good })) {
            let inputs = point(&[1, 1, 1], &[1], &[0]);
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        for outputs in [1, 2] {
            let inputs = point(&[1, 1, outputs], &vec![1; outputs as usize], &vec![0; outputs as usize]);
            refuses_other_weights(OP, bytes_of(&params(&POINT, &POINT)), &inputs);
        }
    }
}
