//! Leaky rectifier: `y = x` where x ≥ 0, else `alpha · x`.

use super::{no_macs, no_rows, read, unary};
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
    OpRule { params_bytes: size_of::<LeakyReluParams>() as u32, output, macs: no_macs, rows: no_rows };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    read::<LeakyReluParams>(params)?;
    unary::output(params, inputs)
}
