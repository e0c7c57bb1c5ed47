//! Another shape over the same elements: y is a copy of x, or lies in its place and takes no time.
//!
//! | operand | dtype | shape                     | layouts |
//! |---------|-------|---------------------------|---------|
//! | x       | any   | any                       | rows    |
//! | y       | of x  | any of as many elements   | rows    |
//!
//! The rule proves the shapes, and that y has the memory of x or shares none with it.

use super::moves::copy;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::reshape::RULE;

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::Reshape, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    if !node.in_place(0) {
        let (reads, [y]) = operands.split([node.output()?])?;
        copy(y, reads.bytes(node.input(0)?)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{noise, refusal, run as run_step, run_in_place, whole};
    use bytemuck::bytes_of;
    use flatpack_format::ops::reshape::ReshapeParams;
    use flatpack_format::{DType, Misfit, Shape};

    fn params(dims: &[u32]) -> ReshapeParams {
        ReshapeParams::new(&Shape::new(dims).unwrap())
    }

    #[test]
    fn the_elements_and_their_order_stay() {
        for dtype in [DType::F32, DType::I16, DType::I8] {
            let x = [whole(&[3, 4, 5], 1, dtype)];
            let params = params(&[2, 1, 30]);
            assert_eq!(run_step(OpCode::Reshape, bytes_of(&params), &x), x[0].values);
            assert_eq!(run_in_place(OpCode::Reshape, bytes_of(&params), &x, 0), x[0].values);
        }
    }

    #[test]
    fn another_number_of_elements_is_refused() {
        let x = noise(&[2, 3], 1);
        assert_eq!(refusal(OpCode::Reshape, bytes_of(&params(&[7])), &[x], None), Misfit::Params);
    }

    #[test]
    fn a_rank_past_the_largest_is_refused() {
        let params = ReshapeParams { dims: [1; 6], rank: 7 };
        assert_eq!(refusal(OpCode::Reshape, bytes_of(&params), &[noise(&[1], 1)], None), Misfit::Params);
    }

    #[test]
    fn a_dimension_past_the_rank_is_refused() {
        let params = ReshapeParams { dims: [1, 1, 0, 0, 0, 0], rank: 1 };
        assert_eq!(refusal(OpCode::Reshape, bytes_of(&params), &[noise(&[1], 1)], None), Misfit::Params);
    }

    #[test]
    fn an_output_of_another_type_is_refused() {
        let output = whole(&[6], 0, DType::I32).tensor_type();
        assert_eq!(
            refusal(OpCode::Reshape, bytes_of(&params(&[6])), &[noise(&[2, 3], 1)], Some(output)),
            Misfit::Shape(1)
        );
    }
}
