//! Softmax along one axis: `yᵢ = exp(xᵢ − max x) / Σⱼ exp(xⱼ − max x)`.

use super::{PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `softmax`: 4 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct SoftmaxParams {
    /// The axis that is normalised.
    pub axis: u32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<SoftmaxParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<SoftmaxParams>(params)?;
    let [x] = f32_inputs(inputs)?;
    let (_, len, _) = x.around(p.axis as usize).ok_or(Misfit::Params)?;
    if len == 0 {
        return Err(Misfit::Shape(0));
    }
    Ok(TensorType::f32(x))
}
