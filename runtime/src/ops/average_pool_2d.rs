//! 2-D average pooling: `y[n, oh, ow, c] = clamp(mean of x[n, oh · sh + kh − pad, …, c])` over the kh,
//! kw that lie inside the input; padding does not count.
//!
//! | operand | dtype | shape          | layouts |
//! |---------|-------|----------------|---------|
//! | x       | f32   | `[N, H, W, C]`   | rows    |
//! | y       | f32   | `[N, OH, OW, C]` | rows    |
//!
//! The rule proves the shapes, that every window covers an element, that strides are at least 1, that
//! positions fit `i32`, and that y shares no memory with x but as rows may overlap.

use super::pool::{self, Fold};
use crate::arch::{Active, Arch, LANES, PANEL_LEN, Patch, clamp};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::rows::Rows;
use crate::window::Moves;
use flatpack_format::OpCode;
use flatpack_format::ops::average_pool_2d::{Pool2dParams, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::AveragePool2d, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let &Pool2dParams { window, stride, pad_h, pad_w, clamp: bounds } = node.params()?;
    let moves = Moves { stride, dilation: [1, 1], pad: [pad_h, pad_w] };
    let mut memory = Rows::of(node, &RULE, operands);
    let (_, rows) = memory.as_mut()?;
    pool::run::<A, Sum>(node, rows, window, &moves, |sum, count| {
        clamp(sum / count as f32, bounds.min, bounds.max)
    })
}

struct Sum;

impl<A: Arch> Fold<A> for Sum {
    type Element = f32;
    type Folded = f32;

    const START: f32 = 0.0;

    fn tile(patch: &Patch<'_, 1>, lanes: &mut [f32; LANES]) -> Option<()> {
        A::sum_tile_f32(patch, lanes)
    }

    #[inline(always)]
    fn sixteen(folded: &mut [f32; PANEL_LEN], x: &[f32; PANEL_LEN]) {
        A::sums_f32(folded, x);
    }

    fn one(folded: f32, x: f32) -> f32 {
        folded + x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Axis, Input, difference, input, noise, output_type, pool_axis, positions, refusal,
        refuses_other_operands, run as run_step,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use flatpack_format::ops::Clamp;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::AveragePool2d;

    fn params(h: &Axis, w: &Axis) -> Pool2dParams {
        Pool2dParams {
            window: [h.taps, w.taps],
            stride: [h.stride, w.stride],
            pad_h: h.pad,
            pad_w: w.pad,
            clamp: Clamp::NONE,
        }
    }

    fn formula(h: &Axis, w: &Axis, x: &Input, y: [u32; 4]) -> Vec<f32> {
        let pool = |[n, oh, ow, c]: [u32; 4]| {
            let covered = positions([h.taps, w.taps])
                .filter_map(|[kh, kw]| Some(x.at(&[n, h.at(oh, kh)?, w.at(ow, kw)?, c])));
            let (sum, count) = covered.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
            (sum / count) as f32
        };
        positions(y).map(pool).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula((h, w) in (pool_axis(), pool_axis()), n in 1u32..3, channels in 1u32..72, seed: u32) {
            let x = noise(&[n, h.input, w.input, channels], seed);
            let params = params(&h, &w);
            let inputs = [x];
            let y = output_type(OP, bytes_of(&params), &inputs).unwrap().shape;
            let want = formula(&h, &w, &inputs[0], y.dims().try_into().unwrap());
            prop_assert!(difference(&run_step(OP, bytes_of(&params), &inputs), &want) < 1e-6);
        }
    }

    const PAIR: Axis = Axis { input: 3, taps: 2, stride: 1, dilation: 1, pad: [0, 0] };
    const POINT: Axis = Axis { input: 1, taps: 1, stride: 1, dilation: 1, pad: [0, 0] };

    #[test]
    fn padding_does_not_count() {
        let w = Axis { pad: [1, 1], ..PAIR };
        let x = input(&[1, 1, 3, 1], &[1.0, 3.0, 8.0]);
        assert_eq!(run_step(OP, bytes_of(&params(&POINT, &w)), &[x]), [1.0, 2.0, 5.5, 8.0]);
    }

    #[test]
    fn a_nan_reaches_the_windows_that_cover_it_and_no_other() {
        let w = Axis { input: 4, ..PAIR };
        for channels in [1, 9, 16] {
            let columns = [1.0, f32::NAN, 2.0, 2.0];
            let values: Vec<_> = columns.iter().flat_map(|v| core::iter::repeat_n(*v, channels)).collect();
            let x = input(&[1, 1, 4, channels as u32], &values);
            let y = run_step(OP, bytes_of(&params(&POINT, &w)), &[x]);
            for (column, y) in y.chunks(channels).enumerate() {
                assert!(y.iter().all(|y| if column < 2 { y.is_nan() } else { *y == 2.0 }), "{y:?}");
            }
        }
    }

    #[test]
    fn the_clamp_bounds_the_result() {
        let params = Pool2dParams { clamp: Clamp { min: 0.0, max: 6.0 }, ..params(&POINT, &POINT) };
        let x = input(&[1, 1, 1, 3], &[-2.0, 3.0, 9.0]);
        assert_eq!(run_step(OP, bytes_of(&params), &[x]), [0.0, 3.0, 6.0]);
    }

    #[test]
    fn an_input_of_another_rank_is_refused() {
        assert_eq!(
            refusal(OP, bytes_of(&params(&POINT, &POINT)), &[noise(&[1, 1, 1], 1)], None),
            Misfit::Rank(0)
        );
    }

    #[test]
    fn a_window_past_the_padded_input_is_refused() {
        let x = noise(&[1, 1, 3, 1], 1);
        let params = params(&POINT, &Axis { taps: 4, ..PAIR });
        assert_eq!(refusal(OP, bytes_of(&params), &[x], None), Misfit::Shape(0));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let x = noise(&[1, 1, 3, 1], 1);
        let good = params(&POINT, &PAIR);
        for bad in [
            Pool2dParams { window: [0, 2], ..good },
            Pool2dParams { stride: [1, 0], ..good },
            // Such windows would cover nothing but padding.
            Pool2dParams { pad_w: [2, 0], ..good },
            Pool2dParams { pad_h: [0, 1], ..good },
            Pool2dParams { clamp: Clamp { min: 1.0, max: 0.0 }, ..good },
        ] {
            assert_eq!(
                refusal(OP, bytes_of(&bad), core::slice::from_ref(&x), None),
                Misfit::Params,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(
            OP,
            bytes_of(&params(&POINT, &POINT)),
            &[input(&[1, 1, 1, 1], &[1.0])],
            false,
            0,
        );
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let output = noise(&[1, 1, 1, 3], 0).tensor_type();
        let x = noise(&[1, 1, 1, 1], 1);
        assert_eq!(refusal(OP, bytes_of(&params(&POINT, &POINT)), &[x], Some(output)), Misfit::Shape(1));
    }
}
