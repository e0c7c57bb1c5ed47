//! Parametric rectifier of 8-bit integers: `y = requantize(x − x_zero_point)` where that is not below
//! zero, else `requantize((x − x_zero_point) · (alpha − alpha_zero_point))`, each with a multiplier of its own.
//! As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape               | layouts |
//! |---------|-------|---------------------|---------|
//! | x       | i8    | any                 | rows    |
//! | alpha   | i8    | broadcast to x's    | rows    |
//! | y       | i8    | of x                | rows    |
//!
//! y may lie in the place of x. The rule proves the shapes, that multipliers, zero points and bounds are
//! in their domains, and that y shares no memory with alpha.

use super::binary::broadcast;
use crate::arch::Active;
use crate::fixed::requantize;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::prelu_i8::{PreluI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::PreluI8, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let p: &PreluI8Params = node.params()?;
    broadcast::<Active, _>(node, operands, |x: i8, alpha: i8| {
        let x = i32::from(x).wrapping_sub(p.x_zero_point);
        if x >= 0 {
            return requantize(x, p.x_multiplier, &p.y);
        }
        let alpha = i32::from(alpha).wrapping_sub(p.alpha_zero_point);
        requantize(x.wrapping_mul(alpha), p.multiplier, &p.y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{i8s, refusal, refuses_other_operands, run as run_step, run_in_place};
    use crate::ops::binary::tests::formula;
    use crate::ops::binary_i8::tests::{HALF, Y, assert_params_refused, multiplier, operands, requantized};
    use bytemuck::bytes_of;
    use flatpack_format::ops::{Multiplier, OutputI8};
    use flatpack_format::{Misfit, Shape};
    use proptest::prelude::*;

    const OP: OpCode = OpCode::PreluI8;
    const PARAMS: PreluI8Params =
        PreluI8Params { x_zero_point: 3, alpha_zero_point: -128, x_multiplier: HALF, multiplier: HALF, y: Y };

    proptest! {
        #[test]
        fn it_meets_the_formula(
            ((x, alpha), seed) in operands(), x_multiplier in multiplier(-3..3), multiplier in multiplier(-10..2),
            x_zero_point in -128i32..128, alpha_zero_point in -128i32..128,
        ) {
            let params = PreluI8Params { x_zero_point, alpha_zero_point, x_multiplier, multiplier, y: Y };
            let [wide, narrow] = [&x, &alpha].map(|dims| Shape::new(dims).unwrap());
            let y = wide.broadcast(&narrow).unwrap();
            let inputs = [i8s(y.dims(), seed), i8s(&alpha, !seed)];
            let want = formula(&inputs[0], &inputs[1], y.dims(), |x, alpha| {
                let (x, alpha) = (x as i64 - i64::from(x_zero_point), alpha as i64 - i64::from(alpha_zero_point));
                let y = if x >= 0 { requantized(x, x_multiplier, &Y) } else { requantized(x * alpha, multiplier, &Y) };
                y as f64
            });
            let apart = run_step(OP, bytes_of(&params), &inputs);
            prop_assert!(apart.iter().map(|&y| f64::from(y)).eq(want));
            prop_assert_eq!(run_in_place(OP, bytes_of(&params), &inputs, 0), apart);
        }
    }

    #[test]
    fn slopes_of_another_shape_are_refused() {
        let of = |x: &[u32], alpha: &[u32]| refusal(OP, bytes_of(&PARAMS), &[i8s(x, 1), i8s(alpha, 2)], None);
        assert_eq!(of(&[2, 3], &[2]), Misfit::Shape(1));
        assert_eq!(of(&[3], &[2, 3]), Misfit::Shape(1));
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        let bad = Multiplier { shift: 31, ..HALF };
        for params in [
            PreluI8Params { x_zero_point: 128, ..PARAMS },
            PreluI8Params { alpha_zero_point: -129, ..PARAMS },
            PreluI8Params { x_multiplier: bad, ..PARAMS },
            PreluI8Params { multiplier: bad, ..PARAMS },
            PreluI8Params { y: OutputI8 { min: -129, ..Y }, ..PARAMS },
        ] {
            assert_params_refused(OP, bytes_of(&params));
        }
    }

    #[test]
    fn other_operands_are_refused() {
        let inputs = [i8s(&[2, 3], 1), i8s(&[2, 3], 2)];
        refuses_other_operands(OP, bytes_of(&PARAMS), &inputs, false, 1);
    }
}
