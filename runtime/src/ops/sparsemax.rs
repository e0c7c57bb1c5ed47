//! Sparsemax along one axis, as Keras 3 computes it: `y = max(x − τ, 0)`. Of the elements in descending
//! order, `z₁ ≥ z₂ ≥ …`, with running sums `sᵢ = z₁ + … + zᵢ`, the support is the first k, those with
//! `zᵢ − (sᵢ − 1) / i > 0`, and `τ = (Σ_{i≤k} sᵢ − 1) / k`.
//!
//! The paper (Martins and Astudillo, "From Softmax to Sparsemax", 2016) has `τ = (s_k − 1) / k`, so that
//! y sums to 1. Keras adds up the running sums instead, and models that were trained with that need it.
//! Its τ jumps where an element enters the support, so sums are rounded here as they are there: in
//! float32, from the largest element down.
//!
//! The largest element always is in the support, also where `z₁ − 1` rounds to z₁ and Keras finds no
//! support at all. A NaN makes its whole vector NaN, and so does an infinite maximum.
//!
//! | operand | dtype | shape | layouts |
//! |---------|-------|-------|---------|
//! | x       | f32   | any   | rows    |
//! | y       | f32   | x's   | rows    |
//!
//! y may lie in the place of x. The rule proves the shapes and that the axis is one of x.
//!
//! Nothing is sorted: each pass over a vector finds the largest of what is left, so there are about as
//! many passes as elements in the support.

use crate::arch::maximum;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::pieces_mut;
use flatpack_format::OpCode;
use flatpack_format::ops::sparsemax::{RULE, SparsemaxParams};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::Sparsemax, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &SparsemaxParams = node.params()?;
    let x = node.input(0)?;
    let (_, len, inner) = x.shape().around(params.axis as usize)?;
    let (len, inner) = (len as usize, inner as usize);
    let (_, y) = operands.write_over(x, node.output()?)?;
    for block in pieces_mut(y, len * inner) {
        for first in 0..inner {
            let from_first = block.get_mut(first..)?;
            let threshold = threshold(|| from_first.iter().step_by(inner.max(1)).copied());
            let vector = from_first.iter_mut().step_by(inner.max(1));
            vector.for_each(|x| *x = if *x < threshold { 0.0 } else { *x - threshold });
        }
    }
    Some(())
}

/// τ of the elements that `vector` goes through.
fn threshold<V: Iterator<Item = f32>>(vector: impl Fn() -> V) -> f32 {
    let mut z = vector().fold(f32::NEG_INFINITY, maximum);
    if !z.is_finite() {
        return f32::NAN;
    }
    let (mut count, mut sum, mut sum_of_sums) = (0.0, 0.0, 0.0);
    // Once for each value in descending order, and for each element that has it.
    while z > f32::NEG_INFINITY {
        for _ in vector().filter(|x| *x == z) {
            sum += z;
            let belongs = z - (sum - 1.0) / (count + 1.0) > 0.0;
            if count > 0.0 && !belongs {
                return (sum_of_sums - 1.0) / count;
            }
            count += 1.0;
            sum_of_sums += sum;
        }
        z = vector().filter(|x| *x < z).fold(f32::NEG_INFINITY, maximum);
    }
    (sum_of_sums - 1.0) / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        along, difference, input, noise, refusal, refuses_other_operands, run as run_step, run_in_place,
        shape_and_axis,
    };
    use bytemuck::bytes_of;
    use core::cell::Cell;
    use flatpack_format::Misfit;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::Sparsemax;

    /// The formula, and how far the nearest element is from entering or leaving the support.
    fn formula(x: &[f64]) -> (Vec<f64>, f64) {
        let mut sorted = x.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let (mut sum, mut sum_of_sums, mut support) = (0.0, 0.0, 0.0);
        let mut margin = f64::INFINITY;
        for (i, z) in (1..).zip(&sorted) {
            sum += z;
            let above = z - (sum - 1.0) / f64::from(i);
            if above > 0.0 {
                support += 1.0;
                sum_of_sums += sum;
            }
            margin = margin.min(above.abs());
        }
        let threshold = (sum_of_sums - 1.0) / support;
        (x.iter().map(|x| (x - threshold).max(0.0)).collect(), margin)
    }

    fn params(axis: usize) -> SparsemaxParams {
        SparsemaxParams { axis: axis as u32 }
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_place_and_apart((dims, axis) in shape_and_axis(), seed: u32, scale in 0.1f32..20.0) {
            let mut x = noise(&dims, seed);
            x.values.iter_mut().for_each(|x| *x *= scale);
            let margin = Cell::new(f64::INFINITY);
            let want = along(&x, axis..axis + 1, |x| {
                let (y, nearest) = formula(x);
                margin.set(margin.get().min(nearest));
                y
            });
            // Where rounding decides about the support, the formula jumps.
            let rounding = 1e-5 * scale.max(1.0);
            prop_assume!(margin.get() > f64::from(rounding));
            let got = run_step(OP, bytes_of(&params(axis)), core::slice::from_ref(&x));
            prop_assert!(difference(&got, &want) < rounding);
            prop_assert_eq!(run_in_place(OP, bytes_of(&params(axis)), &[x], 0), got);
        }
    }

    fn of(x: &[f32]) -> Vec<f32> {
        run_step(OP, bytes_of(&params(1)), &[input(&[1, x.len() as u32], x)])
    }

    #[test]
    fn small_vectors_give_what_keras_computes() {
        // keras.activations.sparsemax of Keras 3.15 on TensorFlow 2.21.
        assert_eq!(of(&[2.0, 0.0, 0.5]), [1.0, 0.0, 0.0]);
        assert_eq!(of(&[0.5, 0.25, -3.0]), [0.375, 0.125, 0.0]);
        assert_eq!(of(&[1.0, 0.0]), [1.0, 0.0]);
        assert_eq!(of(&[0.25; 4]), [0.0; 4]);
        assert_eq!(of(&[1000.0, 1000.0, -1000.0]), [0.0; 3]);
        assert_eq!(of(&[-7.0]), [1.0]);
        assert_eq!(of(&[f32::NEG_INFINITY, 0.0]), [0.0, 1.0]);
        for (x, want) in [
            ([-1.0, -1.25, -2.0, -0.75], [1.166_666_7, 0.916_666_75, 0.166_666_75, 1.416_666_7]),
            ([-100.0, -100.5, -140.0, -100.25], [100.666_67, 100.166_67, 60.666_67, 100.416_67]),
        ] {
            assert!(difference(&of(&x), &want) < 1e-5, "{:?}", of(&x));
        }
    }

    #[test]
    fn the_largest_element_is_in_the_support_where_rounding_hides_it() {
        assert_eq!(of(&[3e8, 0.0]), [0.0, 0.0]);
        assert_eq!(of(&[f32::MAX, f32::MAX, f32::MIN]), [0.0; 3]);
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
