//! 2-D average pooling of 8-bit integers: `y[n, oh, ow, c]` is the integer nearest to the mean of
//! `x[n, oh · sh + kh − pad, …, c]` over the kh, kw that lie inside the input, halves away from
//! `origin`, then bounded. As TensorFlow Lite's reference kernels: `origin` is 0 for that of signed
//! integers, −128 for that of unsigned ones, which are 128 lower here.
//!
//! | operand | dtype | shape          | layouts |
//! |---------|-------|----------------|---------|
//! | x       | i8    | `[N, H, W, C]`   | rows    |
//! | y       | i8    | `[N, OH, OW, C]` | rows    |
//!
//! The rule proves the shapes, that every window covers an element and none more than 2²², that strides
//! are at least 1, that positions fit `i32`, that origin and bounds are 8-bit integers, and that y
//! shares no memory with x but as rows may overlap.

use super::pool::{self, SumI8};
use crate::arch::{Active, Arch};
use crate::fixed;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::rows::Rows;
use crate::window::Moves;
use flatpack_format::OpCode;
use flatpack_format::ops::OutputI8;
use flatpack_format::ops::average_pool_2d_i8::{AveragePool2dI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::AveragePool2dI8, RULE, run::<A>)
}

/// The kernel of an image that one window covers, as networks end with, and that y does not lie over: without the
/// loops over windows. It refuses other steps.
pub const LEAN: Kernel = if Active::WHOLE_IMAGES { KERNEL.by(run_one_window) } else { KERNEL };

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let &AveragePool2dI8Params { window, stride, pad_h, pad_w, origin, min, max } = node.params()?;
    let moves = Moves { stride, dilation: [1, 1], pad: [pad_h, pad_w] };
    let bounds = OutputI8 { zero_point: 0, min, max };
    let mut memory = Rows::of(node, &RULE, operands);
    let (_, rows) = memory.as_mut()?;
    pool::run::<A, SumI8>(node, rows, window, &moves, |sum, count| mean(sum, count as i32, origin, &bounds))
}

fn run_one_window(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let &AveragePool2dI8Params {
        window: [kh, kw], pad_h: [top, _], pad_w: [left, _], origin, min, max, ..
    } = node.params()?;
    let bounds = OutputI8 { zero_point: 0, min, max };
    let ([1, h, w, _], [_, 1, 1, channels]) = (node.input_dims(0)?, node.output_dims()?) else { return None };
    if h > kh.checked_sub(top)? as usize || w > kw.checked_sub(left)? as usize {
        return None;
    }
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let x: &[i8] = reads.get(node.input(0)?)?;
    for (channel, y) in y.iter_mut().enumerate() {
        let of_channel = x.get(channel..)?.iter().step_by(channels.max(1));
        let sum = of_channel.fold(0i32, |sum, &x| sum.wrapping_add(x.into()));
        *y = mean(sum, (h * w) as i32, origin, &bounds);
    }
    Some(())
}

/// One for all channels of a tile: it divides, which takes longer than a call.
#[inline(never)]
fn mean(sum: i32, count: i32, origin: i32, bounds: &OutputI8) -> i8 {
    let from_origin = sum.wrapping_sub(origin.wrapping_mul(count));
    fixed::bound(fixed::divide(from_origin, count).wrapping_add(origin), bounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Axis, Input, integers, output_type, pool_axis, positions, refusal, run as run_step, words,
    };
    use crate::one_step_i8::{floats, output_i8, zero_point};
    use bytemuck::bytes_of;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::AveragePool2dI8;

    fn params(h: &Axis, w: &Axis, origin: i32) -> AveragePool2dI8Params {
        AveragePool2dI8Params {
            window: [h.taps, w.taps],
            stride: [h.stride, w.stride],
            pad_h: h.pad,
            pad_w: w.pad,
            origin,
            min: -128,
            max: 127,
        }
    }

    fn formula(h: &Axis, w: &Axis, x: &Input, params: &AveragePool2dI8Params, y: [u32; 4]) -> Vec<f32> {
        let origin = i64::from(params.origin);
        let element = |[n, oh, ow, c]: [u32; 4]| {
            let covered = positions([h.taps, w.taps])
                .filter_map(|[kh, kw]| Some(x.int(&[n, h.at(oh, kh)?, w.at(ow, kw)?, c])));
            let (sum, count) = covered.fold((0, 0), |(sum, count), x| (sum + x - origin, count + 1));
            let magnitude = (2 * i64::abs(sum) + count) / (2 * count);
            (sum.signum() * magnitude + origin).clamp(params.min.into(), params.max.into())
        };
        floats(positions(y).map(element))
    }

    proptest! {
        #[test]
        fn it_meets_the_formula(
            (h, w) in (pool_axis(), pool_axis()), n in 1u32..3, channels in 1u32..72,
            origin in zero_point(), bounds in output_i8(), seed: u32,
        ) {
            let inputs = [integers(&[n, h.input, w.input, channels], seed, DType::I8)];
            let params =
                AveragePool2dI8Params { min: bounds.min, max: bounds.max, ..params(&h, &w, origin) };
            let y = output_type(OP, bytes_of(&params), &inputs).unwrap().shape;
            let want = formula(&h, &w, &inputs[0], &params, y.dims().try_into().unwrap());
            prop_assert_eq!(run_step(OP, bytes_of(&params), &inputs), want);
        }
    }

    const PAIR: Axis = Axis { input: 3, taps: 2, stride: 1, dilation: 1, pad: [0, 0] };
    const POINT: Axis = Axis { input: 1, taps: 1, stride: 1, dilation: 1, pad: [0, 0] };

    #[test]
    fn padding_does_not_count() {
        let w = Axis { pad: [1, 1], ..PAIR };
        let x = words(&[1, 1, 3, 1], &[-7, 3, 8], DType::I8);
        assert_eq!(run_step(OP, bytes_of(&params(&POINT, &w, 0)), &[x]), [-7.0, -2.0, 6.0, 8.0]);
    }

    #[test]
    fn halves_are_rounded_away_from_the_origin() {
        let w = Axis { input: 4, stride: 2, ..PAIR };
        let x = words(&[1, 1, 4, 1], &[-3, -2, 2, 3], DType::I8);
        for (origin, want) in [(0, [-3.0, 3.0]), (-128, [-2.0, 3.0]), (100, [-3.0, 2.0])] {
            let params = params(&POINT, &w, origin);
            assert_eq!(run_step(OP, bytes_of(&params), core::slice::from_ref(&x)), want);
        }
    }

    #[test]
    fn an_origin_that_is_no_byte_is_refused() {
        let x = integers(&[1, 1, 1, 1], 1, DType::I8);
        for origin in [-129, 128] {
            let params = params(&POINT, &POINT, origin);
            assert_eq!(refusal(OP, bytes_of(&params), core::slice::from_ref(&x), None), Misfit::Params);
        }
    }
}
