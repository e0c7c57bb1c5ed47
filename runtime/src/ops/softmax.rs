//! Softmax along one axis: `yᵢ = exp(xᵢ − max x) / Σⱼ exp(xⱼ − max x)`. A NaN makes its whole vector NaN,
//! and so does an infinite maximum.
//!
//! | operand | dtype | shape | layouts |
//! |---------|-------|-------|---------|
//! | x       | f32   | any   | rows    |
//! | y       | f32   | x's   | rows    |
//!
//! y may lie in the place of x. The rule proves the shapes and that the axis is one of x.

use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node};
use crate::lanes::{Rows, Vectors, each_vector};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::softmax::{RULE, SoftmaxParams};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::Softmax, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &SoftmaxParams = node.params()?;
    let x = node.input(0)?;
    let (_, len, inner) = x.shape().around(params.axis as usize)?;
    let (_, y) = operands.write_over(x, node.output()?)?;
    each_vector::<A>(node.threads(), y, [len, inner].map(|v| v as usize), &Softmax)
}

struct Softmax;

impl Vectors for Softmax {
    #[inline(always)]
    fn update<A: Arch>(&self, rows: Rows, y: &mut [f32]) {
        let max = rows.max(y);
        rows.update(y, &max, |x, max| A::exp_of_negative_f32(x - max));
        let sum = rows.sum(y, &max, |x, _| x);
        rows.update(y, &rows.map(sum, |sum| 1.0 / sum), |x, scale| x * scale);
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

    const OP: OpCode = OpCode::Softmax;

    fn formula(x: &[f64]) -> Vec<f64> {
        let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exps: Vec<_> = x.iter().map(|x| libm::exp(x - max)).collect();
        let sum: f64 = exps.iter().sum();
        exps.iter().map(|exp| exp / sum).collect()
    }

    fn params(axis: usize) -> SoftmaxParams {
        SoftmaxParams { axis: axis as u32 }
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_place_and_apart((dims, axis) in shape_and_axis(), seed: u32, scale in 0.1f32..20.0) {
            let mut x = noise(&dims, seed);
            x.values.iter_mut().for_each(|x| *x *= scale);
            let want = along(&x, axis..axis + 1, formula);
            let got = run_step(OP, bytes_of(&params(axis)), core::slice::from_ref(&x));
            prop_assert!(difference(&got, &want) < 1e-6);
            prop_assert_eq!(run_in_place(OP, bytes_of(&params(axis)), &[x], 0), got);
        }
    }

    fn of(x: &[f32]) -> Vec<f32> {
        run_step(OP, bytes_of(&params(1)), &[input(&[1, x.len() as u32], x)])
    }

    #[test]
    fn it_meets_keras() {
        let Some((x, y)) = recorded("softmax_axis1") else { return };
        let got = run_step(OP, bytes_of(&params(1)), &[x]);
        assert!(difference(&got, &y.values) < 2e-7);
    }

    #[test]
    fn large_elements_do_not_overflow() {
        assert_eq!(of(&[1000.0, 1000.0, -1000.0]), [0.5, 0.5, 0.0]);
        assert_eq!(of(&[f32::MIN, f32::MAX]), [0.0, 1.0]);
        assert_eq!(of(&[f32::NEG_INFINITY, 0.0]), [0.0, 1.0]);
    }

    #[test]
    fn a_nan_or_an_infinite_maximum_makes_its_vector_nan_and_no_other() {
        for odd in [f32::NAN, f32::INFINITY] {
            for len in [3, 40] {
                let mut x = noise(&[2, len], 7);
                let want = run_step(OP, bytes_of(&params(1)), core::slice::from_ref(&x));
                x.values[1] = odd;
                let (y, len) = (run_step(OP, bytes_of(&params(1)), &[x]), len as usize);
                assert!(y[..len].iter().all(|y| y.is_nan()), "{y:?}");
                assert_eq!(y[len..], want[len..]);
            }
        }
    }

    #[test]
    fn an_axis_that_x_has_not_is_refused() {
        assert_eq!(refusal(OP, bytes_of(&params(2)), &[noise(&[2, 3], 1)], None), Misfit::Params);
        assert_eq!(refusal(OP, bytes_of(&params(usize::MAX)), &[noise(&[2, 3], 1)], None), Misfit::Params);
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&params(0)), &[input(&[2, 3], &[1.0; 6])], false, 1);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let output = noise(&[3, 2], 0).tensor_type();
        assert_eq!(refusal(OP, bytes_of(&params(0)), &[noise(&[2, 3], 1)], Some(output)), Misfit::Shape(1));
    }
}
