//! Parametric rectifier: x, alpha (broadcast to x) → y, `y = x` where x ≥ 0, else `alpha · x`.

use super::{f32_inputs, no_macs, no_rows};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: 0, output, macs: no_macs, rows: no_rows };

fn output(_: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let [x, alpha] = f32_inputs(inputs)?;
    if x.broadcast(&alpha) != Some(x) {
        return Err(Misfit::Shape(1));
    }
    Ok(TensorType::f32(x))
}
