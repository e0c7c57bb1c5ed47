//! Minimum of 8-bit integers that stand for reals alike, with NumPy's broadcasting: `y = clamp(min(a, b))`. As
//! TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape                   | layouts |
//! |---------|-------|-------------------------|---------|
//! | a       | i8    | any                     | rows    |
//! | b       | i8    | any that fits a's       | rows    |
//! | y       | i8    | a and b, broadcast      | rows    |
//!
//! y may lie in the place of a, of b, or of both. The rule proves the shapes, that the bounds are ordered
//! integers of 8 bits, and that an input which shares memory with y has all of it: then it is as long as
//! y and does not repeat.

use super::binary::broadcast;
use crate::arch::Active;
use crate::fixed::bound;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::minimum_i8::{MinimumI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::MinimumI8, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &MinimumI8Params = node.params()?;
    let y = params.y();
    broadcast::<Active, _>(node, operands, |a: i8, b: i8| bound(a.min(b).into(), &y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::binary_i8::tests::{assert_params_refused, it_meets, operands, refuses_other_operands};
    use bytemuck::bytes_of;
    use proptest::prelude::*;

    const OP: OpCode = OpCode::MinimumI8;

    proptest! {
        #[test]
        fn it_meets_the_formula((shapes, seed) in operands(), min in -128i32..0, max in 0i32..128) {
            let params = MinimumI8Params { min, max };
            it_meets(OP, bytes_of(&params), shapes, seed, |a, b| a.min(b).clamp(min.into(), max.into()));
        }
    }

    #[test]
    fn bounds_outside_of_their_domain_are_refused() {
        for params in [MinimumI8Params { min: 1, max: 0 }, MinimumI8Params { min: -129, max: 0 }] {
            assert_params_refused(OP, bytes_of(&params));
        }
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&MinimumI8Params { min: -128, max: 127 }));
    }
}
