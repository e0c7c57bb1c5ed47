//! Layer normalisation over the last axes: x `[…, D…]`, scale `[len]`, bias `[len]` (both may be
//! absent together) → y, `y = (x − mean) / √(variance + epsilon) · scale + bias`, where mean and
//! variance are those of the `axis_count` last axes and `len` is their product.

use super::{PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::shape::Shape;
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `layer_normalization`: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct LayerNormalizationParams {
    /// How many of the last axes are normalised together, at least 1.
    pub axis_count: u32,
    /// Added to the variance; not negative.
    pub epsilon: f32,
}

impl LayerNormalizationParams {
    /// The elements outside of and inside the normalised axes of `x`.
    pub fn split(&self, x: &Shape) -> Option<(u32, u32)> {
        let product = |dims: &[u32]| dims.iter().try_fold(1u32, |len, &d| len.checked_mul(d));
        let at = x.rank().checked_sub(self.axis_count as usize)?;
        let (outer, inner) = x.dims().split_at_checked(at)?;
        Some((product(outer)?, product(inner)?))
    }
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<LayerNormalizationParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<LayerNormalizationParams>(params)?;
    let (x, affine) = match inputs.len() {
        1 => (f32_inputs::<1>(inputs)?[0], None),
        _ => f32_inputs::<3>(inputs).map(|[x, scale, bias]| (x, Some([scale, bias])))?,
    };
    let (_, len) = p.split(&x).ok_or(Misfit::Params)?;
    if p.axis_count == 0 || p.epsilon.is_nan() || p.epsilon < 0.0 {
        return Err(Misfit::Params);
    }
    for (at, shape) in affine.iter().flatten().enumerate() {
        if shape.dims() != [len] {
            return Err(Misfit::Shape(at as u8 + 1));
        }
    }
    Ok(TensorType::f32(x))
}
