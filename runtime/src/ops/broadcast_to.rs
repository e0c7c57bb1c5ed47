//! Repetition along axes of length 1, by NumPy's broadcasting rule: `y[i…] = x[i…]`, where axes of
//! x that are absent or of length 1 take any index.
//!
//! | operand | dtype | shape                 | layouts |
//! |---------|-------|-----------------------|---------|
//! | x       | any   | any                   | rows    |
//! | y       | of x  | one that x fits       | rows    |
//!
//! The rule proves the shapes, and that y shares no memory with x.

use super::moves;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::walk::{Axis, Walk, broadcast_dims, strides};
use flatpack_format::OpCode;
use flatpack_format::ops::broadcast_to::RULE;

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::BroadcastTo, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let x = broadcast_dims(&node.input(0)?.shape());
    let mut axes = broadcast_dims(&node.output()?.shape()).map(|len| Axis { len, strides: [0] });
    axes.iter_mut().zip(strides(&x)).for_each(|(axis, stride)| axis.strides = [stride]);
    moves::run(node, operands, Walk::new(axes.into_iter().rev()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{indices, noise, refusal, refusal_in_place, run as run_step, whole};
    use bytemuck::bytes_of;
    use flatpack_format::ops::broadcast_to::BroadcastToParams;
    use flatpack_format::{DType, Misfit, Shape};
    use proptest::prelude::*;
    use std::vec::Vec;

    fn params(dims: &[u32]) -> BroadcastToParams {
        BroadcastToParams::new(&Shape::new(dims).unwrap())
    }

    proptest! {
        #[test]
        fn it_meets_the_definition(
            axes in prop::collection::vec((1u32..5, any::<bool>()), 0..=6),
            absent in 0usize..7,
            seed: u32,
        ) {
            let dims: Vec<u32> = axes.iter().map(|&(len, _)| len).collect();
            let own = axes.iter().map(|&(len, repeats)| if repeats { 1 } else { len });
            let own: Vec<u32> = own.skip(absent).collect();
            for dtype in [DType::F32, DType::I16, DType::I8] {
                let x = whole(&own, seed, dtype);
                let y = run_step(OpCode::BroadcastTo, bytes_of(&params(&dims)), std::slice::from_ref(&x));
                for (y, index) in y.into_iter().zip(indices(&dims)) {
                    let at = index.iter().skip(absent).zip(&own).map(|(at, len)| at % len);
                    prop_assert_eq!(f64::from(y), x.at(&at.collect::<Vec<_>>()));
                }
            }
        }
    }

    #[test]
    fn a_shape_that_x_does_not_fit_is_refused() {
        let x = noise(&[2, 3], 1);
        assert_eq!(refusal(OpCode::BroadcastTo, bytes_of(&params(&[2, 4])), &[x], None), Misfit::Params);
    }

    #[test]
    fn a_rank_past_the_largest_is_refused() {
        let params = BroadcastToParams { dims: [1; 6], rank: 7 };
        assert_eq!(refusal(OpCode::BroadcastTo, bytes_of(&params), &[noise(&[1], 1)], None), Misfit::Params);
    }

    #[test]
    fn a_dimension_past_the_rank_is_refused() {
        let params = BroadcastToParams { dims: [2, 1, 0, 0, 0, 0], rank: 1 };
        assert_eq!(refusal(OpCode::BroadcastTo, bytes_of(&params), &[noise(&[1], 1)], None), Misfit::Params);
    }

    #[test]
    fn an_output_in_the_place_of_x_is_refused() {
        let x = noise(&[2], 1);
        assert_eq!(
            refusal_in_place(OpCode::BroadcastTo, bytes_of(&params(&[1, 2])), &[x], 0),
            Misfit::Alias(0)
        );
    }
}
