//! Difference of 8-bit integers, with NumPy's broadcasting: as [`super::add_i8`], with `a − b` for `a + b`.
//!
//! | operand | dtype | shape                   | layouts |
//! |---------|-------|-------------------------|---------|
//! | a       | i8    | any                     | rows    |
//! | b       | i8    | any that fits a's       | rows    |
//! | y       | i8    | a and b, broadcast      | rows    |
//!
//! y may lie in the place of a, of b, or of both. The rule proves the shapes, that multipliers, zero
//! points and bounds are in their domains, and that an input which shares memory with y has all of it:
//! then it is as long as y and does not repeat.

use super::add_i8::combine;
use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::sub_i8::RULE;

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::SubI8, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    combine::<A, true>(node, operands)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::binary_i8::tests::{
        HALF, Y, assert_params_refused, it_meets, multiplied, multiplier, operands, refuses_other_operands,
        requantized,
    };
    use bytemuck::bytes_of;
    use flatpack_format::ops::sub_i8::SubI8Params;
    use proptest::prelude::*;

    const OP: OpCode = OpCode::SubI8;
    const PARAMS: SubI8Params = SubI8Params {
        a_zero_point: 3,
        b_zero_point: -128,
        a_multiplier: HALF,
        b_multiplier: HALF,
        multiplier: HALF,
        y: Y,
    };

    proptest! {
        #[test]
        fn it_meets_the_formula(
            (shapes, seed) in operands(),
            a_multiplier in multiplier(-12..1), b_multiplier in multiplier(-12..1), by in multiplier(-22..-14),
            a_zero_point in -128i32..128, b_zero_point in -128i32..128,
        ) {
            let params = SubI8Params { a_zero_point, b_zero_point, a_multiplier, b_multiplier, multiplier: by, y: Y };
            it_meets(OP, bytes_of(&params), shapes, seed, |a, b| {
                let a = multiplied((a - i64::from(a_zero_point)) << 20, a_multiplier);
                let b = multiplied((b - i64::from(b_zero_point)) << 20, b_multiplier);
                requantized(a - b, by, &Y)
            });
        }
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        assert_params_refused(OP, bytes_of(&SubI8Params { a_zero_point: 128, ..PARAMS }));
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&PARAMS));
    }
}
