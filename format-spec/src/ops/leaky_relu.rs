//! Leaky rectifier: `y = x` where x ≥ 0, else `alpha · x`.

use super::{PLAIN, read, unary};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `leaky_relu`: 4 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct LeakyReluParams {
    /// Slope below zero.
    pub alpha: f32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<LeakyReluParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    read::<LeakyReluParams>(params)?;
    unary::output(params, inputs)
}
