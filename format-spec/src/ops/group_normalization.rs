//! Group normalisation: x `[N, …, C]`, scale `[C]`, bias `[C]` (both may be absent together) → y.
//! The channels are split into `groups`; each group of each sample is normalised with its own mean
//! and variance over all positions: `y = (x − mean) / √(variance + epsilon) · scale + bias`.

use super::{PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `group_normalization`: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct GroupNormalizationParams {
    /// Number of groups; it divides C.
    pub groups: u32,
    /// Added to the variance; not negative.
    pub epsilon: f32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<GroupNormalizationParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<GroupNormalizationParams>(params)?;
    let (x, affine) = match inputs.len() {
        1 => (f32_inputs::<1>(inputs)?[0], None),
        _ => f32_inputs::<3>(inputs).map(|[x, scale, bias]| (x, Some([scale, bias])))?,
    };
    if x.rank() < 2 {
        return Err(Misfit::Rank(0));
    }
    if x.last().checked_rem(p.groups) != Some(0) || p.epsilon.is_nan() || p.epsilon < 0.0 {
        return Err(Misfit::Params);
    }
    for (at, shape) in affine.iter().flatten().enumerate() {
        if shape.dims() != [x.last()] {
            return Err(Misfit::Shape(at as u8 + 1));
        }
    }
    Ok(TensorType::f32(x))
}
