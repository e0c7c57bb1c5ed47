//! Root-mean-square normalisation over the last axes: `y = x / √(mean(x²) + epsilon) · scale` (Zhang
//! and Sennrich, "Root Mean Square Layer Normalization", 2019).
//!
//! | operand | dtype | shape                   | layouts             |
//! |---------|-------|-------------------------|---------------------|
//! | x       | f32   | `[outer…, axes…]`         | rows                |
//! | scale   | f32   | `[elements of the axes]`  | rows; may be absent |
//! | y       | f32   | x's                     | rows                |
//!
//! y may lie in the place of x. The rule proves the shapes, that x has the axes, that epsilon is not
//! negative, and that y shares no memory with scale.

use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node};
use crate::lanes::{NO_VALUES, Rows, Vectors, each_vector};
use crate::math::rsqrt;
use crate::operands::Operands;
use crate::pieces::pieces_mut;
use flatpack_format::OpCode;
use flatpack_format::ops::rms_normalization::{RULE, RmsNormalizationParams};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::RmsNormalization, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &RmsNormalizationParams = node.params()?;
    let x = node.input(0)?;
    let (_, len) = params.split(&x.shape())?;
    let rms = RmsNormalization { count: len as f32, epsilon: params.epsilon };
    let len = len as usize;
    let (reads, y) = operands.write_over(x, node.output()?)?;
    each_vector::<A>(node.threads(), y, [len, 1], &rms)?;
    if let Some(scale) = node.input(1) {
        let scale = reads.get::<f32>(scale)?;
        for y in pieces_mut(y, len) {
            y.iter_mut().zip(scale).for_each(|(y, scale)| *y *= scale);
        }
    }
    Some(())
}

struct RmsNormalization {
    /// Elements of a vector.
    count: f32,
    epsilon: f32,
}

impl Vectors for RmsNormalization {
    #[inline(always)]
    fn update<A: Arch>(&self, rows: Rows, y: &mut [f32]) {
        let &Self { count, epsilon } = self;
        let sum = rows.sum(y, &NO_VALUES, |x, _| x * x);
        let factor = rows.map(sum, |sum| rsqrt(sum / count + epsilon));
        rows.update(y, &factor, |x, factor| x * factor);
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
    use flatpack_format::Misfit;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const OP: OpCode = OpCode::RmsNormalization;

    fn params(axis_count: usize, epsilon: f32) -> RmsNormalizationParams {
        RmsNormalizationParams { axis_count: axis_count as u32, epsilon }
    }

    fn formula(x: &[f64], scale: &[f32], epsilon: f32) -> Vec<f64> {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let root = libm::sqrt(mean + f64::from(epsilon));
        x.iter().zip(scale).map(|(x, &scale)| x / root * f64::from(scale)).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_place_and_apart(
            (dims, axis) in shape_and_axis(), epsilon in 1e-7f32..0.1, seed: u32,
        ) {
            let x = noise(&dims, seed);
            let len = dims[axis..].iter().product();
            let scale = noise(&[len], !seed);
            let params = params(dims.len() - axis, epsilon);
            let want = along(&x, axis..dims.len(), |x| formula(x, &scale.values, epsilon));
            let inputs = [x, scale];
            let got = run_step(OP, bytes_of(&params), &inputs);
            prop_assert!(difference(&got, &want) < 2e-6 * (len as f32).sqrt().max(1.0));
            prop_assert_eq!(run_in_place(OP, bytes_of(&params), &inputs, 0), got);

            let [x, scale] = inputs;
            let ones = vec![1.0; scale.values.len()];
            let want = along(&x, axis..dims.len(), |x| formula(x, &ones, epsilon));
            let got = run_step(OP, bytes_of(&params), &[x]);
            prop_assert!(difference(&got, &want) < 2e-6 * (len as f32).sqrt().max(1.0));
        }
    }

    #[test]
    fn a_nan_makes_its_vector_nan_and_no_other() {
        let x = input(&[2, 2], &[f32::NAN, 1.0, 1.0, -1.0]);
        let y = run_step(OP, bytes_of(&params(1, 0.0)), &[x]);
        assert!(y[..2].iter().all(|y| y.is_nan()));
        assert_eq!(y[2..], [1.0, -1.0]);
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        for bad in [params(0, 1.0), params(3, 1.0), params(1, -1.0), params(1, f32::NAN)] {
            assert_eq!(refusal(OP, bytes_of(&bad), &[noise(&[2, 3], 1)], None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn a_scale_of_another_length_is_refused() {
        let inputs = [noise(&[2, 3], 1), noise(&[2], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(1, 1.0)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn other_operands_are_refused() {
        let ones = [input(&[1, 3], &[1.0; 3]), input(&[3], &[1.0; 3])];
        refuses_other_operands(OP, bytes_of(&params(1, 1.0)), &ones, false, 1);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let output = noise(&[3, 2], 0).tensor_type();
        assert_eq!(
            refusal(OP, bytes_of(&params(1, 1.0)), &[noise(&[2, 3], 1)], Some(output)),
            Misfit::Shape(1)
        );
    }
}
