//! 8-bit integers to reals: `y = scale · (x − zero_point)`.
//!
//! | operand | dtype    | shape | layouts |
//! |---------|----------|-------|---------|
//! | x       | i8 or u8 | any   | rows    |
//! | y       | f32      | x's   | rows    |
//!
//! `check` proves that the scale is positive and finite, that the zero point is an integer of x's
//! type, and that y shares no memory with x.

use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::ops::dequantize::{DequantizeParams, RULE};
use flatpack_format::{DType, Misfit, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel { op: OpCode::Dequantize, check, run };

fn check(node: &Node<'_>) -> Result<(), Misfit> {
    node.check(&RULE, false, 0)
}

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &DequantizeParams = node.params()?;
    let input = node.input(0)?;
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let real = |x: i32| params.scale * x.wrapping_sub(params.zero_point) as f32;
    let x = reads.bytes(input)?;
    if input.dtype() == DType::U8 {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = real((*x).into()));
    } else {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = real((*x as i8).into()));
    }
    Some(())
}
