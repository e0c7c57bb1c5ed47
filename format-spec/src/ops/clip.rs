//! Bounds on each element: `y = min(max(x, min), max)`.

use super::{Clamp, PLAIN, read, unary};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `clip`: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct ClipParams {
    /// The bounds.
    pub clamp: Clamp,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<ClipParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    read::<ClipParams>(params)?.clamp.valid()?;
    unary::output(params, inputs)
}
