//! Sparsemax along one axis: the point of the probability simplex nearest to x, `yᵢ = max(xᵢ − τ, 0)`
//! with τ such that `Σᵢ yᵢ = 1` (Martins and Astudillo, "From Softmax to Sparsemax", 2016). A NaN makes
//! its whole vector NaN, and so does an infinite maximum.
//!
//! | operand | dtype | shape | layouts |
//! |---------|-------|-------|---------|
//! | x       | f32   | any   | rows    |
//! | y       | f32   | x's   | rows    |
//!
//! y may lie in the place of x. `check` proves the shapes and that the axis is one of x.
//!
//! τ is found without sorting, by Michelot's iteration ("A Finite Algorithm for Finding the Projection
//! of a Point onto the Canonical Simplex of Rⁿ", 1986): from a τ that is too small, the elements above
//! it give a larger τ, until no more of them fall below it.

use crate::kernel::{Kernel, Node};
use crate::lanes::{LANES, Lanes, Rows, each_vector};
use crate::operands::Operands;
use flatpack_format::ops::sparsemax::{RULE, SparsemaxParams};
use flatpack_format::{Misfit, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel { op: OpCode::Sparsemax, check, run };

fn check(node: &Node<'_>) -> Result<(), Misfit> {
    node.check(&RULE, false, 1)
}

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &SparsemaxParams = node.params()?;
    let x = node.input(0)?;
    let (_, len, inner) = x.shape().around(params.axis as usize)?;
    let (_, y) = operands.write_over(x, node.output()?)?;
    each_vector(y, len as usize, inner as usize, |rows, y| {
        let max = rows.max(y);
        rows.update(y, &max, |x, max| x - max);
        let threshold = threshold(rows, y);
        rows.update(y, &threshold, |x, threshold| if x < threshold { 0.0 } else { x - threshold });
    });
    Some(())
}

/// τ for vectors whose largest element is 0: it is then between −1 and 0.
fn threshold(rows: Rows, x: &[f32]) -> Lanes {
    let mut threshold = [-1.0; LANES];
    let mut above = [f32::INFINITY; LANES];
    loop {
        let count = rows.sum(x, &threshold, |x, threshold| if x > threshold { 1.0 } else { 0.0 });
        let sum = rows.sum(x, &threshold, |x, threshold| if x > threshold { x } else { 0.0 });
        let mut fewer = false;
        for (((threshold, above), count), sum) in threshold.iter_mut().zip(&mut above).zip(count).zip(sum) {
            if count < *above {
                fewer = true;
                *above = count;
            }
            *threshold = (sum - 1.0) / count;
        }
        if !fewer {
            return threshold;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        along, difference, input, noise, refusal, refuses_other_operands, run as run_step, run_in_place,
        shape_and_axis,
    };
    use bytemuck::bytes_of;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::Sparsemax;

    fn formula(x: &[f64]) -> Vec<f64> {
        // Algorithm 1 of the paper.
        let mut sorted = x.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let mut sum = 0.0;
        let mut threshold = 0.0;
        for (k, z) in sorted.iter().enumerate() {
            sum += z;
            if 1.0 + (k + 1) as f64 * z > sum {
                threshold = (sum - 1.0) / (k + 1) as f64;
            }
        }
        x.iter().map(|x| (x - threshold).max(0.0)).collect()
    }

    fn params(axis: usize) -> SparsemaxParams {
        SparsemaxParams { axis: axis as u32 }
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_place_and_apart((dims, axis) in shape_and_axis(), seed: u32, scale in 0.1f32..20.0) {
            let mut x = noise(&dims, seed);
            x.values.iter_mut().for_each(|x| *x *= scale);
            let want = along(&x, axis..axis + 1, formula);
            let got = run_step(OP, bytes_of(&params(axis)), core::slice::from_ref(&x));
            prop_assert!(difference(&got, &want) < 5e-6);
            prop_assert_eq!(run_in_place(OP, bytes_of(&params(axis)), &[x], 0), got);
        }
    }

    fn of(x: &[f32]) -> Vec<f32> {
        run_step(OP, bytes_of(&params(1)), &[input(&[1, x.len() as u32], x)])
    }

    #[test]
    fn small_elements_become_zero_and_the_rest_sums_to_one() {
        assert_eq!(of(&[2.0, 0.0, 0.5]), [1.0, 0.0, 0.0]);
        assert_eq!(of(&[0.5, 0.25, -3.0]), [0.625, 0.375, 0.0]);
        assert_eq!(of(&[1000.0, 1000.0, -1000.0]), [0.5, 0.5, 0.0]);
        assert_eq!(of(&[0.25; 4]), [0.25; 4]);
        assert_eq!(of(&[-7.0]), [1.0]);
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
