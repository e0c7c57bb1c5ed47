//! Piecewise linear sigmoid: `y = min(max(slope · x + offset, 0), 1)`.

use super::{PLAIN, read, unary};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `hard_sigmoid`: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct HardSigmoidParams {
    /// Slope in the middle.
    pub slope: f32,
    /// Value at zero.
    pub offset: f32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<HardSigmoidParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    read::<HardSigmoidParams>(params)?;
    unary::output(params, inputs)
}
