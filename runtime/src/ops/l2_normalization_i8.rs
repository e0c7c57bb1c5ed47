//! L2 normalisation of 8-bit integers along neighbouring axes, in fixed point: `yᵢ = 128 · dᵢ / √Σⱼ dⱼ²`, where
//! `d = x − x_zero_point`. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape | layouts |
//! |---------|-------|-------|---------|
//! | x       | i8    | any   | rows    |
//! | y       | i8    | x's   | rows    |
//!
//! y may lie in the place of x. The rule proves the shapes, that the axes are some of x, and that the
//! zero point is an integer of 8 bits.

use crate::fixed::{inverse_sqrt, multiply};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::each_strided;
use flatpack_format::OpCode;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::l2_normalization_i8::{L2NormalizationI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::L2NormalizationI8, RULE, run);

/// Bits after the point of y.
const PLACES: i32 = 7;

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &L2NormalizationI8Params = node.params()?;
    let x = node.input(0)?;
    let (_, len, inner) = params.reduction().around(&x.shape())?;
    let (_, y) = operands.write_over::<i8>(x, node.output()?)?;
    let distance = |x: i8| i32::from(x).wrapping_sub(params.x_zero_point);
    each_strided(y, len as usize, inner as usize, |y, stride| {
        let squares = y.iter().step_by(stride.max(1)).map(|x| distance(*x).wrapping_mul(distance(*x)));
        let inverse = inverse_sqrt(squares.fold(0, i32::wrapping_add));
        let by = Multiplier { shift: inverse.shift.wrapping_add(PLACES), ..inverse };
        let elements = y.iter_mut().step_by(stride.max(1));
        elements.for_each(|y| *y = multiply(distance(*y), by).clamp(-128, 127) as i8);
    });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        along, i8s, refusal, refuses_other_operands, run as run_step, run_in_place, shape_and_axis, words,
    };
    use crate::ops::binary_i8::tests::multiplied;
    use bytemuck::bytes_of;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;

    const OP: OpCode = OpCode::L2NormalizationI8;

    fn params(axis: usize, axis_count: usize, x_zero_point: i32) -> L2NormalizationI8Params {
        L2NormalizationI8Params { axis: axis as u32, axis_count: axis_count as u32, x_zero_point }
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_place_and_apart(
            (dims, axis) in shape_and_axis(), count in 1usize..3, zero_point in -128i32..128, seed: u32,
        ) {
            let x = i8s(&dims, seed);
            let axes = axis..dims.len().min(axis + count);
            let want = along(&x, axes.clone(), |x| {
                let x = x.iter().map(|&x| x as i64 - i64::from(zero_point));
                let sum: i64 = x.clone().map(|x| x * x).sum();
                let norm = (sum as f64).sqrt().max(1.0);
                // How near the root is, the tests of `fixed` say.
                let root = inverse_sqrt(sum as i32);
                let by = Multiplier { shift: root.shift + 7, ..root };
                let element = |x| {
                    let y = multiplied(x, by).clamp(-128, 127) as f64;
                    assert!((y - 128.0 * x as f64 / norm).abs() <= 1.01);
                    y
                };
                x.map(element).collect()
            });
            let params = params(axis, axes.len(), zero_point);
            let got = run_step(OP, bytes_of(&params), core::slice::from_ref(&x));
            prop_assert_eq!(&got, &want);
            prop_assert_eq!(run_in_place(OP, bytes_of(&params), &[x], 0), got);
        }
    }

    #[test]
    fn zeros_stay_zeros_and_a_single_step_is_nearly_one() {
        let of = |value| run_step(OP, bytes_of(&params(0, 1, 5)), &[words(&[1], &[value], DType::I8)]);
        assert_eq!([of(5), of(6), of(4)], [[0.0], [127.0], [-128.0]]);
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        let of = |params: L2NormalizationI8Params| refusal(OP, bytes_of(&params), &[i8s(&[2, 3], 1)], None);
        for params in [params(1, 0, 0), params(1, 2, 0), params(3, 1, 0), params(1, 1, 128)] {
            assert_eq!(of(params), Misfit::Params);
        }
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&params(1, 1, 0)), &[i8s(&[2, 3], 1)], false, 1);
    }
}
