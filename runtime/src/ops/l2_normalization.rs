//! L2 normalisation along neighbouring axes: `y = x / √max(Σ x², epsilon)`.
//!
//! | operand | dtype | shape | layouts |
//! |---------|-------|-------|---------|
//! | x       | f32   | any   | rows    |
//! | y       | f32   | x's   | rows    |
//!
//! y may lie in the place of x. The rule proves the shapes, that the axes are some of x, and that
//! epsilon is positive.

use crate::arch::{Active, Arch, maximum};
use crate::kernel::{Kernel, Node};
use crate::lanes::{NO_VALUES, Rows, Vectors, each_vector};
use crate::math::rsqrt;
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::l2_normalization::{L2NormalizationParams, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::L2Normalization, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &L2NormalizationParams = node.params()?;
    let x = node.input(0)?;
    let (_, len, inner) = params.reduction().around(&x.shape())?;
    let (_, y) = operands.write_over(x, node.output()?)?;
    let l2 = L2Normalization { epsilon: params.epsilon };
    each_vector::<A>(node.threads(), y, [len, inner].map(|v| v as usize), &l2)
}

struct L2Normalization {
    epsilon: f32,
}

impl Vectors for L2Normalization {
    #[inline(always)]
    fn update<A: Arch>(&self, rows: Rows, y: &mut [f32]) {
        let sum = rows.sum(y, &NO_VALUES, |x, _| x * x);
        let scale = rows.map(sum, |sum| rsqrt(maximum(sum, self.epsilon)));
        rows.update(y, &scale, |x, scale| x * scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        along, difference, input, noise, recorded, refusal, refuses_other_operands, run as run_step,
        run_in_place, shape_and_axis,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::L2Normalization;

    fn params(axis: usize, axis_count: usize, epsilon: f32) -> L2NormalizationParams {
        L2NormalizationParams { axis: axis as u32, axis_count: axis_count as u32, epsilon }
    }

    fn formula(x: &[f64], epsilon: f32) -> Vec<f64> {
        let sum: f64 = x.iter().map(|x| x * x).sum();
        x.iter().map(|x| x / libm::sqrt(sum.max(epsilon.into()))).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_place_and_apart(
            (dims, axis) in shape_and_axis(), count in 1usize..3, epsilon in 1e-12f32..2.0, seed: u32,
        ) {
            let x = noise(&dims, seed);
            let axes = axis..dims.len().min(axis + count);
            let want = along(&x, axes.clone(), |x| formula(x, epsilon));
            let params = params(axis, axes.len(), epsilon);
            let got = run_step(OP, bytes_of(&params), core::slice::from_ref(&x));
            prop_assert!(difference(&got, &want) < 2e-6);
            prop_assert_eq!(run_in_place(OP, bytes_of(&params), &[x], 0), got);
        }
    }

    #[test]
    fn it_meets_keras() {
        let Some((x, y)) = recorded("unitnorm") else { return };
        let got = run_step(OP, bytes_of(&params(2, 1, 1e-12)), &[x]);
        assert!(difference(&got, &y.values) < 2e-7);
    }

    #[test]
    fn zeros_stay_zeros_and_a_nan_makes_its_vector_nan() {
        let x = input(&[3, 2], &[0.0, 0.0, 3.0, 4.0, f32::NAN, 1.0]);
        let y = run_step(OP, bytes_of(&params(1, 1, 1e-12)), &[x]);
        assert_eq!(y[..2], [0.0, 0.0]);
        assert!(difference(&y[2..4], &[0.6, 0.8]) < 1e-7);
        assert!(y[4..].iter().all(|y| y.is_nan()));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        for bad in [
            params(2, 1, 1.0),
            params(1, 2, 1.0),
            params(0, 0, 1.0),
            params(0, 1, 0.0),
            params(0, 1, -1.0),
            params(0, 1, f32::NAN),
        ] {
            assert_eq!(refusal(OP, bytes_of(&bad), &[noise(&[2, 3], 1)], None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&params(0, 1, 1.0)), &[input(&[2, 3], &[1.0; 6])], false, 1);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let output = noise(&[3, 2], 0).tensor_type();
        assert_eq!(
            refusal(OP, bytes_of(&params(1, 1, 1.0)), &[noise(&[2, 3], 1)], Some(output)),
            Misfit::Shape(1)
        );
    }
}
