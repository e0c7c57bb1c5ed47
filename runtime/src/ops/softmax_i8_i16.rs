//! Softmax of 8-bit integers along one axis, in fixed point, to 16 bits: `yᵢ = 65536 · exp(dᵢ) / Σⱼ exp(dⱼ)
//! − 32768`, at most 32767, with d as of `softmax_i8`. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape | layouts |
//! |---------|-------|-------|---------|
//! | x       | i8    | any   | rows    |
//! | y       | i16   | x's   | rows    |
//!
//! The rule proves what it proves for `softmax_i8`, and that y shares no memory with x.

use super::softmax_i8::Vector;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use flatpack_format::OpCode;
use flatpack_format::ops::softmax_i8::SoftmaxI8Params;
use flatpack_format::ops::softmax_i8_i16::RULE;

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::SoftmaxI8I16, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let p: &SoftmaxI8Params = node.params()?;
    let x = node.input(0)?;
    let (_, len, inner) = x.shape().around(p.axis as usize)?;
    let (block, stride) = ((len as usize).saturating_mul(inner as usize), inner as usize);
    let (reads, y) = operands.write::<i16>(node.output()?)?;
    for (x, y) in pieces(reads.get::<i8>(x)?, block).zip(pieces_mut(y, block)) {
        for first in 0..stride {
            let x = x.get(first..)?;
            let vector = Vector::of(x, stride, p);
            for (x, y) in x.iter().zip(y.get_mut(first..)?).step_by(stride.max(1)) {
                *y = vector.steps(*x, 16).wrapping_sub(32768).clamp(-32768, 32767) as i16;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        along, i8s, refusal, refuses_other_operands, run as run_step, shape_and_axis, words,
    };
    use crate::ops::softmax_i8::tests::params;
    use bytemuck::bytes_of;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::SoftmaxI8I16;

    proptest! {
        #[test]
        fn it_is_near_the_formula(
            (dims, axis) in shape_and_axis(), seed: u32, mantissa in 1 << 30..=i32::MAX, shift in 18i32..28,
        ) {
            let x = i8s(&dims, seed);
            let params = params(axis, mantissa, shift);
            let scale = f64::from(mantissa) * f64::from(shift - 57).exp2();
            let formula = |x: &[f64]| -> Vec<f64> {
                let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let exps: Vec<f64> = x.iter().map(|x| ((x - max) * scale).exp()).collect();
                let sum: f64 = exps.iter().sum();
                exps.iter().map(|exp| (65536.0 * exp / sum - 32768.0).min(32767.0)).collect()
            };
            let want = along(&x, axis..axis + 1, formula);
            // A term of the sum has 19 bits after the point: many of them are off by more than a step.
            let count = f64::from(dims[axis]);
            let got = run_step(OP, bytes_of(&params), &[x]);
            for (got, want) in got.iter().zip(want) {
                let within = 1.0 + (f64::from(want) + 32768.0) * count * (-20f64).exp2();
                prop_assert!(f64::from(got - want).abs() < within, "{got} is not {want}");
            }
        }
    }

    #[test]
    fn one_element_has_all_and_two_have_half() {
        let of = |values: &[i32]| {
            let x = words(&[1, values.len() as u32], values, DType::I8);
            run_step(OP, bytes_of(&params(1, 1 << 30, 27)), &[x])
        };
        assert_eq!(of(&[5]), [32767.0]);
        assert_eq!(of(&[-9, -9]), [0.0, 0.0]);
        assert_eq!(of(&[127, -128]), [32767.0, -32768.0]);
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        let good = params(1, 1 << 30, 20);
        let of = |params: SoftmaxI8Params| refusal(OP, bytes_of(&params), &[i8s(&[2, 3], 1)], None);
        assert_eq!(of(SoftmaxI8Params { axis: 2, ..good }), Misfit::Params);
        assert_eq!(of(SoftmaxI8Params { diff_min: 1, ..good }), Misfit::Params);
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&params(1, 1 << 30, 20)), &[i8s(&[2, 3], 1)], false, 0);
    }

    #[test]
    fn an_output_of_eight_bits_is_refused() {
        let x = i8s(&[2, 3], 1);
        let output = x.tensor_type();
        assert_eq!(refusal(OP, bytes_of(&params(0, 1 << 30, 20)), &[x], Some(output)), Misfit::Shape(1));
    }
}
