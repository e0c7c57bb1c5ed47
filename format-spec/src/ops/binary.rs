//! Operators of two elements, with broadcasting: a, b → y.

use super::{Clamp, PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of the binary operators: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct BinaryParams {
    /// Bounds on y.
    pub clamp: Clamp,
}

/// Two float32 inputs, broadcast to a common shape.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<BinaryParams>() as u32, output, in_place: 0b11, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    read::<BinaryParams>(params)?.clamp.valid()?;
    let [a, b] = f32_inputs(inputs)?;
    Ok(TensorType::f32(a.broadcast(&b).ok_or(Misfit::Shape(1))?))
}
