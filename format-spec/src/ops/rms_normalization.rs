//! Root-mean-square normalisation over the last axes: x `[…, D…]`, scale `[len]` → y,
//! `y = x / √(mean(x²) + epsilon) · scale` (Zhang and Sennrich, 2019).

use super::layer_normalization::LayerNormalizationParams;
use super::{PLAIN, f32_inputs_and_bias, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;

/// Parameters of `rms_normalization`: those of `layer_normalization`.
pub type RmsNormalizationParams = LayerNormalizationParams;

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<RmsNormalizationParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<RmsNormalizationParams>(params)?;
    let ([x], scale) = f32_inputs_and_bias(inputs)?;
    let (_, len) = p.split(&x).ok_or(Misfit::Params)?;
    if p.axis_count == 0 || p.epsilon.is_nan() || p.epsilon < 0.0 {
        return Err(Misfit::Params);
    }
    if scale.is_some_and(|s| s.dims() != [len]) {
        return Err(Misfit::Shape(1));
    }
    Ok(TensorType::f32(x))
}
