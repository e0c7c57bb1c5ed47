//! L2 normalisation along neighbouring axes: `y = x / √max(Σ x², epsilon)`.

use super::mean::ReduceParams;
use super::{PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `l2_normalization`: 12 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct L2NormalizationParams {
    /// The first axis of the sum.
    pub axis: u32,
    /// Number of axes summed over, at least 1.
    pub axis_count: u32,
    /// Least value of the sum of squares; positive.
    pub epsilon: f32,
}

impl L2NormalizationParams {
    /// The sum of squares as a reduction.
    pub fn reduction(&self) -> ReduceParams {
        ReduceParams { axis: self.axis, axis_count: self.axis_count, keep_dims: 1 }
    }
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<L2NormalizationParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<L2NormalizationParams>(params)?;
    let [x] = f32_inputs(inputs)?;
    if p.reduction().around(&x).is_none() || p.axis_count == 0 || p.epsilon.is_nan() || p.epsilon <= 0.0 {
        return Err(Misfit::Params);
    }
    Ok(TensorType::f32(x))
}
