//! Integers of 8 or 16 bits to reals: `y = scale · (x − zero_point)`.
//!
//! | operand | dtype         | shape | layouts |
//! |---------|---------------|-------|---------|
//! | x       | i8, u8 or i16 | any   | rows    |
//! | y       | f32           | x's   | rows    |
//!
//! The rule proves that the scale is positive and finite, that the zero point is an integer of x's
//! type, and that y shares no memory with x.

use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node, vectorized};
use crate::operands::Operands;
use flatpack_format::ops::dequantize::{DequantizeParams, RULE};
use flatpack_format::{DType, OpCode};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::Dequantize, RULE, |node, operands| {
        vectorized!(A, |node, operands| run(node, operands))
    })
}

#[inline(always)]
fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &DequantizeParams = node.params()?;
    let input = node.input(0)?;
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let real = |x: i32| params.scale * x.wrapping_sub(params.zero_point) as f32;
    match input.dtype() {
        DType::I8 => fill(y, reads.get::<i8>(input)?, real),
        DType::U8 => fill(y, reads.get::<u8>(input)?, real),
        DType::I16 => fill(y, reads.get::<i16>(input)?, real),
        // The rule has refused all others.
        _ => return None,
    }
    Some(())
}

fn fill<T: Copy + Into<i32>>(y: &mut [f32], x: &[T], real: impl Fn(i32) -> f32) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y = real((*x).into()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{input, integers, refusal, refuses_other_operands, run as run_step, words};
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use std::vec::Vec;

    const OP: OpCode = OpCode::Dequantize;

    #[test]
    fn every_byte_and_zero_point_meets_the_formula() {
        for (range, dtype) in [(-128..128, DType::I8), (0..256, DType::U8)] {
            let bytes: Vec<i32> = range.collect();
            for &zero_point in &bytes {
                let scale = 1.0 / (200 + zero_point) as f32;
                let params = DequantizeParams { scale, zero_point };
                let y = run_step(OP, bytes_of(&params), &[words(&[256], &bytes, dtype)]);
                let want: Vec<_> = bytes.iter().map(|&x| scale * (x - zero_point) as f32).collect();
                assert_eq!(y, want);
            }
        }
    }

    #[test]
    fn words_meet_the_formula() {
        let words_of_x = [-32768, -32767, -1, 0, 1, 255, 32767];
        for zero_point in [-32768, -5, 0, 32767] {
            let params = DequantizeParams { scale: 0.3, zero_point };
            let y = run_step(OP, bytes_of(&params), &[words(&[7], &words_of_x, DType::I16)]);
            let want: Vec<_> = words_of_x.iter().map(|&x| 0.3 * (x - zero_point) as f32).collect();
            assert_eq!(y, want);
        }
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let scales = [0.0, -1.0, f32::INFINITY, f32::NAN].map(|scale| (scale, 0, DType::I8));
        let bytes = [(-129, DType::I8), (128, DType::I8), (-1, DType::U8), (256, DType::U8)];
        let zero_points = bytes.into_iter().chain([(-32769, DType::I16), (32768, DType::I16)]);
        let zero_points = zero_points.map(|(zero_point, dtype)| (1.0, zero_point, dtype));
        for (scale, zero_point, dtype) in scales.into_iter().chain(zero_points) {
            let bad = DequantizeParams { scale, zero_point };
            let x = [integers(&[3], 1, dtype)];
            assert_eq!(refusal(OP, bytes_of(&bad), &x, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        let params = DequantizeParams { scale: 1.0, zero_point: 0 };
        refuses_other_operands(OP, bytes_of(&params), &[integers(&[3], 1, DType::I8)], false, 0);
        for x in [input(&[1], &[1.0]), integers(&[3], 1, DType::I32)] {
            assert_eq!(refusal(OP, bytes_of(&params), &[x], None), Misfit::DType(0));
        }
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let params = DequantizeParams { scale: 1.0, zero_point: 0 };
        let x = [integers(&[3], 1, DType::I8)];
        let output = input(&[1, 3], &[0.0; 3]).tensor_type();
        assert_eq!(refusal(OP, bytes_of(&params), &x, Some(output)), Misfit::Shape(1));
    }
}
