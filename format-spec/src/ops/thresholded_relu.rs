//! Rectifier with threshold, slope and bound: `y = min(x, max)` where x > threshold, else
//! `slope · (x − threshold)`.

use super::{PLAIN, read, unary};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `thresholded_relu`: 12 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct ThresholdedReluParams {
    /// Values above it pass; it does not.
    pub threshold: f32,
    /// Slope below the threshold.
    pub slope: f32,
    /// Upper bound; +∞ for none.
    pub max: f32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<ThresholdedReluParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    read::<ThresholdedReluParams>(params)?;
    unary::output(params, inputs)
}
