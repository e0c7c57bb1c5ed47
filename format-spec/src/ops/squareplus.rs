//! Squareplus: `y = (x + √(x² + b)) / 2`.

use super::{PLAIN, read, unary};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `squareplus`: 4 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct SquareplusParams {
    /// Width of the bend; not negative.
    pub b: f32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<SquareplusParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let b = read::<SquareplusParams>(params)?.b;
    if b < 0.0 || b.is_nan() {
        return Err(Misfit::Params);
    }
    unary::output(params, inputs)
}
