//! Maximum of 8-bit integers that stand for reals alike, with broadcasting: a, b → y.

use super::add_i8::broadcast;
use super::{OutputI8, PLAIN, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `maximum_i8` and `minimum_i8`: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct MaximumI8Params {
    /// Lower bound on y: −128 or that of the fused activation.
    pub min: i32,
    /// Upper bound on y: 127 or that of the fused activation.
    pub max: i32,
}

impl MaximumI8Params {
    /// The bounds as those of an output.
    pub fn y(&self) -> OutputI8 {
        OutputI8 { zero_point: 0, min: self.min, max: self.max }
    }
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<MaximumI8Params>() as u32, output, in_place: 0b11, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    read::<MaximumI8Params>(params)?.y().valid()?;
    broadcast(inputs)
}
