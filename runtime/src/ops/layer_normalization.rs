//! Layer normalisation over the last axes: `y = (x − mean) / √(variance + epsilon) · scale + bias`,
//! mean and variance being those of the elements of these axes.
//!
//! | operand | dtype | shape                  | layouts                    |
//! |---------|-------|------------------------|----------------------------|
//! | x       | f32   | `[outer…, axes…]`        | rows                       |
//! | scale   | f32   | `[elements of the axes]` | rows; may be absent        |
//! | bias    | f32   | `[elements of the axes]` | rows; absent if scale is   |
//! | y       | f32   | x's                    | rows                       |
//!
//! y may lie in the place of x. The rule proves the shapes, that x has the axes, that epsilon is not
//! negative, and that y shares no memory with scale and bias.

use crate::arch::{Active, Arch, Loops};
use crate::kernel::{Kernel, Node};
use crate::lanes::{NO_VALUES, Rows, Vectors, each_vector};
use crate::math::rsqrt;
use crate::operands::{Operands, Reads};
use crate::pieces::pieces_mut;
use flatpack_format::OpCode;
use flatpack_format::ops::layer_normalization::{LayerNormalizationParams, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::LayerNormalization, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &LayerNormalizationParams = node.params()?;
    let x = node.input(0)?;
    let (_, len) = params.split(&x.shape())?;
    let normalization = LayerNormalization { count: len as f32, epsilon: params.epsilon };
    let len = len as usize;
    let (reads, y) = operands.write_over(x, node.output()?)?;
    each_vector::<A>(node.threads(), y, [len, 1], &normalization)?;
    affine::<A>(node, &reads, y, len)
}

struct LayerNormalization {
    /// Elements of a vector.
    count: f32,
    epsilon: f32,
}

impl Vectors for LayerNormalization {
    #[inline(always)]
    fn update<A: Arch>(&self, rows: Rows, y: &mut [f32]) {
        let &Self { count, epsilon } = self;
        let mean = rows.map(rows.sum(y, &NO_VALUES, |x, _| x), |sum| sum / count);
        rows.update(y, &mean, |x, mean| x - mean);
        let squares = rows.sum(y, &NO_VALUES, |x, _| x * x);
        let factor = rows.map(squares, |sum| rsqrt(sum / count + epsilon));
        rows.update(y, &factor, |x, factor| x * factor);
    }
}

/// `y = y · scale + bias`, with inputs 1 and 2 along the last `len` elements, if they are there.
pub(crate) fn affine<A: Arch>(node: &Node<'_>, reads: &Reads<'_>, y: &mut [f32], len: usize) -> Option<()> {
    let (Some(scale), Some(bias)) = (node.input(1), node.input(2)) else { return Some(()) };
    let (scale, bias) = (reads.get::<f32>(scale)?, reads.get::<f32>(bias)?);
    A::vectorize(Affine { y, len, scale, bias });
    Some(())
}

struct Affine<'y> {
    y: &'y mut [f32],
    len: usize,
    scale: &'y [f32],
    bias: &'y [f32],
}

impl Loops for Affine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(self) {
        for y in pieces_mut(self.y, self.len) {
            for ((y, scale), bias) in y.iter_mut().zip(self.scale).zip(self.bias) {
                *y = *y * scale + bias;
            }
        }
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
    use std::vec;
    use std::vec::Vec;

    const OP: OpCode = OpCode::LayerNormalization;

    fn params(axis_count: usize, epsilon: f32) -> LayerNormalizationParams {
        LayerNormalizationParams { axis_count: axis_count as u32, epsilon }
    }

    fn formula(x: &[f64], scale: &[f32], bias: &[f32], epsilon: f32) -> Vec<f64> {
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
        let deviation = libm::sqrt(variance + f64::from(epsilon));
        let normalised = x.iter().map(|x| (x - mean) / deviation);
        let affine = scale.iter().zip(bias).map(|(&scale, &bias)| (f64::from(scale), f64::from(bias)));
        normalised.zip(affine).map(|(x, (scale, bias))| x * scale + bias).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_place_and_apart(
            (dims, axis) in shape_and_axis(), epsilon in 1e-3f32..0.1, seed: u32,
        ) {
            let x = noise(&dims, seed);
            let len = dims[axis..].iter().product();
            let (scale, bias) = (noise(&[len], !seed), noise(&[len], seed ^ 0x55));
            let params = params(dims.len() - axis, epsilon);
            let want = along(&x, axis..dims.len(), |x| formula(x, &scale.values, &bias.values, epsilon));
            let inputs = [x, scale, bias];
            let got = run_step(OP, bytes_of(&params), &inputs);
            prop_assert!(difference(&got, &want) < 1e-5);
            prop_assert_eq!(run_in_place(OP, bytes_of(&params), &inputs, 0), got);

            let [x, ..] = inputs;
            let (ones, zeros) = (vec![1.0; len as usize], vec![0.0; len as usize]);
            let want = along(&x, axis..dims.len(), |x| formula(x, &ones, &zeros, epsilon));
            prop_assert!(difference(&run_step(OP, bytes_of(&params), &[x]), &want) < 1e-5);
        }
    }

    #[test]
    fn it_meets_keras() {
        let Some((x, y)) = recorded("layernorm") else { return };
        // The layer's weights, from its file.
        let gamma = [0.749_219_66, 0.511_047_24, 0.763_122, 0.644_793_6, 0.792_385_2, 1.260_436];
        let beta = [-0.515_335_7, 0.134_893_21, 0.395_799_7, -0.434_715_66, 0.222_752_99, -0.291_453_48];
        let inputs = [x, input(&[6], &gamma), input(&[6], &beta)];
        assert!(difference(&run_step(OP, bytes_of(&params(1, 1e-3)), &inputs), &y.values) < 1e-6);
    }

    #[test]
    fn a_large_mean_does_not_hide_the_variance() {
        // ±1 around 4096: the sum of squares alone would have no digits left for the variance.
        let x: Vec<_> = (0..1000).map(|i| 4096.0 + if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let y = run_step(OP, bytes_of(&params(1, 0.0)), &[input(&[1, 1000], &x)]);
        assert!(y.iter().all(|y| (y.abs() - 1.0).abs() < 1e-6), "{y:?}");
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
    fn a_scale_or_bias_of_another_length_is_refused() {
        let of = |scale: u32, bias: u32| [noise(&[2, 3], 1), noise(&[scale], 2), noise(&[bias], 3)];
        assert_eq!(refusal(OP, bytes_of(&params(1, 1.0)), &of(2, 3), None), Misfit::Shape(1));
        assert_eq!(refusal(OP, bytes_of(&params(1, 1.0)), &of(3, 2), None), Misfit::Shape(2));
    }

    #[test]
    fn a_scale_without_bias_is_refused() {
        let inputs = [noise(&[2, 3], 1), noise(&[3], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(1, 1.0)), &inputs, None), Misfit::Count);
    }

    #[test]
    fn other_operands_are_refused() {
        let vector = input(&[3], &[1.0; 3]);
        let ones = [input(&[1, 3], &[1.0; 3]), vector.clone(), vector];
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
