//! Parametric rectifier: x, alpha (broadcast to x) → y, `y = x` where x ≥ 0, else `alpha · x`.

use super::{PLAIN, f32_inputs};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;

/// See the module.
pub const RULE: OpRule = OpRule { output, in_place: 0b1, ..PLAIN };

fn output(_: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let [x, alpha] = f32_inputs(inputs)?;
    if x.broadcast(&alpha) != Some(x) {
        return Err(Misfit::Shape(1));
    }
    Ok(TensorType::f32(x))
}
