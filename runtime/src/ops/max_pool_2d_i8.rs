//! 2-D maximum pooling of 8-bit integers: `y[n, oh, ow, c]` is the maximum of `x[n, oh · sh + kh − pad,
//! …, c]` over the kh, kw that lie inside the input, bounded.
//!
//! | operand | dtype | shape          | layouts |
//! |---------|-------|----------------|---------|
//! | x       | i8    | `[N, H, W, C]`   | rows    |
//! | y       | i8    | `[N, OH, OW, C]` | rows    |
//!
//! The rule proves the shapes, that every window covers an element, that strides are at least 1, that
//! positions fit `i32`, that bounds are 8-bit integers, and that y shares no memory with x but as rows
//! may overlap.

use super::pool::{self, MaxI8};
use crate::arch::{Active, Arch};
use crate::fixed;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::rows::Rows;
use crate::window::Moves;
use flatpack_format::OpCode;
use flatpack_format::ops::OutputI8;
use flatpack_format::ops::max_pool_2d_i8::{MaxPool2dI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::MaxPool2dI8, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let &MaxPool2dI8Params { window, stride, pad_h, pad_w, min, max } = node.params()?;
    let moves = Moves { stride, dilation: [1, 1], pad: [pad_h, pad_w] };
    let bounds = OutputI8 { zero_point: 0, min, max };
    let mut memory = Rows::of(node, &RULE, operands);
    let (_, rows) = memory.as_mut()?;
    pool::run::<A, MaxI8>(node, rows, window, &moves, |max, _| fixed::bound(max.into(), &bounds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{Axis, Input, integers, output_type, pool_axis, positions, run as run_step, words};
    use crate::one_step_i8::{floats, output_i8};
    use bytemuck::bytes_of;
    use flatpack_format::DType;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::MaxPool2dI8;

    fn params(h: &Axis, w: &Axis) -> MaxPool2dI8Params {
        MaxPool2dI8Params {
            window: [h.taps, w.taps],
            stride: [h.stride, w.stride],
            pad_h: h.pad,
            pad_w: w.pad,
            min: -128,
            max: 127,
        }
    }

    fn formula(h: &Axis, w: &Axis, x: &Input, params: &MaxPool2dI8Params, y: [u32; 4]) -> Vec<f32> {
        let element = |[n, oh, ow, c]: [u32; 4]| {
            let covered = positions([h.taps, w.taps])
                .filter_map(|[kh, kw]| Some(x.int(&[n, h.at(oh, kh)?, w.at(ow, kw)?, c])));
            covered.max().unwrap().clamp(params.min.into(), params.max.into())
        };
        floats(positions(y).map(element))
    }

    proptest! {
        #[test]
        fn it_meets_the_formula(
            (h, w) in (pool_axis(), pool_axis()), n in 1u32..3, channels in 1u32..72,
            bounds in output_i8(), seed: u32,
        ) {
            let inputs = [integers(&[n, h.input, w.input, channels], seed, DType::I8)];
            let params = MaxPool2dI8Params { min: bounds.min, max: bounds.max, ..params(&h, &w) };
            let y = output_type(OP, bytes_of(&params), &inputs).unwrap().shape;
            let want = formula(&h, &w, &inputs[0], &params, y.dims().try_into().unwrap());
            prop_assert_eq!(run_step(OP, bytes_of(&params), &inputs), want);
        }
    }

    #[test]
    fn padding_does_not_count() {
        let point = Axis { input: 1, taps: 1, stride: 1, dilation: 1, pad: [0, 0] };
        let w = Axis { input: 3, taps: 2, pad: [1, 1], ..point };
        let x = words(&[1, 1, 3, 1], &[-1, -3, -128], DType::I8);
        assert_eq!(run_step(OP, bytes_of(&params(&point, &w)), &[x]), [-1.0, -1.0, -3.0, -128.0]);
    }
}
