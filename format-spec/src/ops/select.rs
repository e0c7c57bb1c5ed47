//! Selection: c, a, b → y, broadcast to a common shape; `b` where c = 0, else `a`.

use super::{PLAIN, f32_inputs};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;

/// Three float32 inputs, broadcast to a common shape.
pub const RULE: OpRule = OpRule { output, in_place: 0b111, ..PLAIN };

fn output(_: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let [c, a, b] = f32_inputs(inputs)?;
    let shape = c.broadcast(&a).ok_or(Misfit::Shape(1))?;
    Ok(TensorType::f32(shape.broadcast(&b).ok_or(Misfit::Shape(2))?))
}
