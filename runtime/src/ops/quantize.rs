//! Reals to 8-bit integers: `y = clamp(round(x / scale) + zero_point)`; of two nearest integers, the
//! one away from zero. A NaN becomes the zero point.
//!
//! | operand | dtype    | shape | layouts |
//! |---------|----------|-------|---------|
//! | x       | f32      | any   | rows    |
//! | y       | i8 or u8 | x's   | rows    |
//!
//! `check` proves that the scale is positive and finite, that the zero point is an integer of y's
//! type, and that y shares no memory with x.

use crate::kernel::{Kernel, Node};
use crate::math::round_half_away;
use crate::operands::Operands;
use flatpack_format::ops::quantize::{QuantizeParams, RULE};
use flatpack_format::{DType, Misfit, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel { op: OpCode::Quantize, check, run };

fn check(node: &Node<'_>) -> Result<(), Misfit> {
    node.check(&RULE, false, 0)
}

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
