//! Reals to 8-bit integers: `y = clamp(round(x / scale) + zero_point)`; of two nearest integers, the
//! one away from zero. A NaN becomes the zero point.
//!
//! | operand | dtype    | shape | layouts |
//! |---------|----------|-------|---------|
//! | x       | f32      | any   | rows    |
//! | y       | i8 or u8 | x's   | rows    |
//!
//! The rule proves that the scale is positive and finite, that the zero point is an integer of y's
//! type, and that y shares no memory with x.

use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node, vectorized};
use crate::math::round_half_away;
use crate::operands::Operands;
use flatpack_format::ops::quantize::{QuantizeParams, RULE};
use flatpack_format::{DType, OpCode};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::Quantize, RULE, |node, operands| vectorized!(A, |node, operands| run(node, operands)))
}

#[inline(always)]
fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &QuantizeParams = node.params()?;
    let output = node.output()?;
    let (reads, y) = operands.write::<u8>(output)?;
    let x = reads.get::<f32>(node.input(0)?)?;
    let (low, high) = if output.dtype() == DType::U8 { (0.0, 255.0) } else { (-128.0, 127.0) };
    let zero_point = params.zero_point as f32;
    // Below 2²³ the sum is exact; above, the bounds hold whatever it is.
    for (y, x) in y.iter_mut().zip(x) {
        let steps = round_half_away(*x / params.scale);
        let v = if steps.is_nan() { zero_point } else { steps + zero_point };
        let v = if v < low { low } else { v };
        *y = (if v > high { high } else { v }) as i32 as u8;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{EDGES, input, noise, refusal, refuses_other_operands, run as run_step};
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::Quantize;

    fn params(scale: f32, zero_point: i32, dtype: DType) -> QuantizeParams {
        QuantizeParams { scale, zero_point, dtype: dtype as u32 }
    }

    fn formula(x: f32, p: &QuantizeParams) -> f32 {
        // The quotient is one of float32; f64 rounds halves away from zero.
        let steps = f64::from(x / p.scale).round();
        let steps = if steps.is_nan() { 0.0 } else { steps };
        let (low, high) = if p.dtype == DType::U8 as u32 { (0.0, 255.0) } else { (-128.0, 127.0) };
        (steps + f64::from(p.zero_point)).clamp(low, high) as f32
    }

    fn meets(x: &[f32], p: &QuantizeParams) {
        let want: Vec<_> = x.iter().map(|&x| formula(x, p)).collect();
        assert_eq!(run_step(OP, bytes_of(p), &[input(&[x.len() as u32], x)]), want, "{p:?}");
    }

    proptest! {
        #[test]
        fn it_meets_the_formula(scale in 1e-4f32..1e-1, byte: u8, signed: bool, len in 1u32..70, seed: u32) {
            let p = match signed {
                true => params(scale, (byte as i8).into(), DType::I8),
                false => params(scale, byte.into(), DType::U8),
            };
            meets(&noise(&[len], seed).values, &p);
        }
    }

    #[test]
    fn halves_edges_and_extreme_scales_do_too() {
        let halves: Vec<_> = (-300..300).map(|i| i as f32 * 0.25).collect();
        for scale in [0.5, 1e-38, f32::from_bits(1), 1e38, f32::MAX] {
            for (zero_point, dtype) in [(-128, DType::I8), (127, DType::I8), (0, DType::U8), (255, DType::U8)]
            {
                meets(&halves, &params(scale, zero_point, dtype));
                meets(&EDGES, &params(scale, zero_point, dtype));
            }
        }
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let scales = [0.0, -1.0, f32::INFINITY, f32::NAN].map(|scale| params(scale, 0, DType::I8));
        let zero_points = [(-129, DType::I8), (128, DType::I8), (-1, DType::U8), (256, DType::U8)];
        let zero_points = zero_points.map(|(zero_point, dtype)| params(1.0, zero_point, dtype));
        let types = [DType::F32, DType::I32, DType::I16].map(|dtype| params(1.0, 0, dtype));
        let unknown = [
            QuantizeParams { dtype: 7, ..params(1.0, 0, DType::I8) },
            QuantizeParams { dtype: 256, ..params(1.0, 0, DType::I8) },
        ];
        for bad in scales.into_iter().chain(zero_points).chain(types).chain(unknown) {
            assert_eq!(refusal(OP, bytes_of(&bad), &[noise(&[3], 1)], None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&params(1.0, 0, DType::I8)), &[noise(&[2, 3], 1)], false, 0);
    }

    #[test]
    fn an_output_of_another_type_is_refused() {
        let x = [noise(&[2, 3], 1)];
        let unsigned = crate::one_step::integers(&[2, 3], 1, DType::U8).tensor_type();
        let refused = refusal(OP, bytes_of(&params(1.0, 0, DType::I8)), &x, Some(unsigned));
        assert_eq!(refused, Misfit::Shape(1));
    }
}
