//! Product of 8-bit integers, with NumPy's broadcasting: `y = requantize((a − a_zero_point) · (b −
//! b_zero_point))`. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape                   | layouts |
//! |---------|-------|-------------------------|---------|
//! | a       | i8    | any                     | rows    |
//! | b       | i8    | any that fits a's       | rows    |
//! | y       | i8    | a and b, broadcast      | rows    |
//!
//! y may lie in the place of a, of b, or of both. The rule proves the shapes, that the multiplier, zero
//! points and bounds are in their domains, and that an input which shares memory with y has all of it:
//! then it is as long as y and does not repeat.

use super::binary::broadcast_runs;
use crate::arch::{Active, Arch};
use crate::fixed::requantize;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::mul_i8::{MulI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::MulI8, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let p: &MulI8Params = node.params()?;
    broadcast_runs::<A, _, _>(node, operands, A::mul_runs_i8(p), |a: i8, b: i8| {
        let a = i32::from(a).wrapping_sub(p.a_zero_point);
        let b = i32::from(b).wrapping_sub(p.b_zero_point);
        requantize(a.wrapping_mul(b), p.multiplier, &p.y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::binary_i8::tests::{
        HALF, Y, assert_params_refused, it_meets, multiplier, operands, refuses_other_operands, requantized,
    };
    use bytemuck::bytes_of;
    use flatpack_format::ops::{Multiplier, OutputI8};
    use proptest::prelude::*;

    const OP: OpCode = OpCode::MulI8;
    const PARAMS: MulI8Params = MulI8Params { a_zero_point: 3, b_zero_point: -128, multiplier: HALF, y: Y };

    proptest! {
        #[test]
        fn it_meets_the_formula(
            (shapes, seed) in operands(), multiplier in multiplier(-12..3),
            a_zero_point in -128i32..128, b_zero_point in -128i32..128,
        ) {
            let params = MulI8Params { a_zero_point, b_zero_point, multiplier, y: Y };
            it_meets(OP, bytes_of(&params), shapes, seed, |a, b| {
                requantized((a - i64::from(a_zero_point)) * (b - i64::from(b_zero_point)), multiplier, &Y)
            });
        }
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        for params in [
            MulI8Params { a_zero_point: 128, ..PARAMS },
            MulI8Params { b_zero_point: -129, ..PARAMS },
            MulI8Params { multiplier: Multiplier { shift: -32, ..HALF }, ..PARAMS },
            MulI8Params { y: OutputI8 { max: 128, ..Y }, ..PARAMS },
        ] {
            assert_params_refused(OP, bytes_of(&params));
        }
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&PARAMS));
    }
}
