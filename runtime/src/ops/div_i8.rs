//! Quotient of 8-bit integers, with NumPy's broadcasting: `y = requantize((a − a_zero_point) / (b −
//! b_zero_point))`, by a reciprocal in fixed point. As TensorFlow Lite's reference kernel, where that
//! shifts by what its machine makes of a number outside of 0 to 31: of the number modulo 32. The published
//! kernel does not divide by zero; here the bound of the sign is the result, and the zero point of 0 / 0.
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

use super::binary::broadcast;
use crate::arch::Active;
use crate::fixed::{bound, quotient};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::div_i8::{DivI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::DivI8, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let p: &DivI8Params = node.params()?;
    broadcast::<Active, _>(node, operands, |a: i8, b: i8| {
        let a = i32::from(a).wrapping_sub(p.a_zero_point);
        let b = i32::from(b).wrapping_sub(p.b_zero_point);
        match (b, a.signum()) {
            (0, 0) => bound(p.y.zero_point, &p.y),
            (0, sign) => bound(sign.wrapping_mul(128), &p.y),
            _ => bound(quotient(a, b, p.multiplier).wrapping_add(p.y.zero_point), &p.y),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{run as run_step, words};
    use crate::ops::binary_i8::tests::{
        HALF, Y, assert_params_refused, it_meets, multiplier, operands, refuses_other_operands,
    };
    use bytemuck::bytes_of;
    use flatpack_format::DType;
    use proptest::prelude::*;

    const OP: OpCode = OpCode::DivI8;
    const PARAMS: DivI8Params = DivI8Params { a_zero_point: 3, b_zero_point: -128, multiplier: HALF, y: Y };

    proptest! {
        #[test]
        fn elements_are_quotients_of_distances_from_zero(
            (shapes, seed) in operands(), multiplier in multiplier(0..9),
            a_zero_point in -128i32..128, b_zero_point in -128i32..128,
        ) {
            let params = DivI8Params { a_zero_point, b_zero_point, multiplier, y: Y };
            // What a quotient is, the tests of `fixed` say.
            it_meets(OP, bytes_of(&params), shapes, seed, |a, b| {
                let (a, b) = (a as i32 - a_zero_point, b as i32 - b_zero_point);
                let steps = match b {
                    0 => i64::from(a.signum()) * 1000,
                    _ => i64::from(quotient(a, b, multiplier)),
                };
                (steps + i64::from(Y.zero_point)).clamp(Y.min.into(), Y.max.into())
            });
        }
    }

    #[test]
    fn quotients_are_rounded_to_the_nearest() {
        let params = DivI8Params { a_zero_point: 0, b_zero_point: 0, ..PARAMS };
        let four =
            DivI8Params { multiplier: flatpack_format::ops::Multiplier { shift: 3, ..HALF }, ..params };
        let (a, b) = (words(&[3], &[25; 3], DType::I8), words(&[], &[-7], DType::I8));
        // 4 · 25 / −7 = −14.3
        assert_eq!(run_step(OP, bytes_of(&four), &[a, b]), [-14.0 - 9.0; 3]);
    }

    #[test]
    fn by_zero_comes_the_bound_of_the_sign() {
        let params = DivI8Params { a_zero_point: 5, b_zero_point: 7, ..PARAMS };
        let (a, b) = (words(&[3], &[-100, 5, 6], DType::I8), words(&[], &[7], DType::I8));
        assert_eq!(run_step(OP, bytes_of(&params), &[a, b]), [-120.0, -9.0, 115.0]);
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        assert_params_refused(OP, bytes_of(&DivI8Params { b_zero_point: 128, ..PARAMS }));
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&PARAMS));
    }
}
