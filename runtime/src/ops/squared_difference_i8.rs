//! Squared difference of 8-bit integers, with NumPy's broadcasting: `y = requantize(d²)`, where `d = (a −
//! a_zero_point) · 2⁷ · a_multiplier − (b − b_zero_point) · 2⁷ · b_multiplier`, each product rounded. As
//! TensorFlow Lite's reference kernel.
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

use super::binary::broadcast;
use super::binary_i8::at_common_scale;
use crate::arch::{Active, Arch};
use crate::fixed::requantize;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::squared_difference_i8::{RULE, SquaredDifferenceI8Params};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::SquaredDifferenceI8, RULE, run::<A>)
}

/// Bits after the point of what is squared.
const BITS: u32 = 7;

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let p: &SquaredDifferenceI8Params = node.params()?;
    broadcast::<A, _>(node, operands, |a, b| {
        let a = at_common_scale::<BITS>(a, p.a_zero_point, p.a_multiplier);
        let b = at_common_scale::<BITS>(b, p.b_zero_point, p.b_multiplier);
        let difference = a.wrapping_sub(b);
        requantize(difference.wrapping_mul(difference), p.multiplier, &p.y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::binary_i8::tests::{
        HALF, Y, assert_params_refused, it_meets, multiplied, multiplier, operands, refuses_other_operands,
        requantized,
    };
    use bytemuck::bytes_of;
    use proptest::prelude::*;

    const OP: OpCode = OpCode::SquaredDifferenceI8;
    const PARAMS: SquaredDifferenceI8Params = SquaredDifferenceI8Params {
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
            // Both inputs come to twice the larger scale.
            a_multiplier in multiplier(-12..0), b_multiplier in multiplier(-12..0), by in multiplier(-24..-10),
            a_zero_point in -128i32..128, b_zero_point in -128i32..128,
        ) {
            let params = SquaredDifferenceI8Params {
                a_zero_point, b_zero_point, a_multiplier, b_multiplier, multiplier: by, y: Y,
            };
            it_meets(OP, bytes_of(&params), shapes, seed, |a, b| {
                let a = multiplied((a - i64::from(a_zero_point)) * 128, a_multiplier);
                let b = multiplied((b - i64::from(b_zero_point)) * 128, b_multiplier);
                requantized((a - b) * (a - b), by, &Y)
            });
        }
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        assert_params_refused(OP, bytes_of(&SquaredDifferenceI8Params { a_zero_point: 128, ..PARAMS }));
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&PARAMS));
    }
}
