//! Concatenation along one axis: x₀, x₁, … → y. All dimensions but that axis are equal.

use super::{PLAIN, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `concatenate`: 4 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct ConcatenateParams {
    /// The axis along which the inputs follow each other.
    pub axis: u32,
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<ConcatenateParams>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let axis = read::<ConcatenateParams>(params)?.axis as usize;
    let (first, rest) = inputs.split_first().ok_or(Misfit::Count)?;
    if axis >= first.shape.rank() {
        return Err(Misfit::Params);
    }
    let mut len = first.shape.dim(axis);
    for (at, x) in rest.iter().enumerate() {
        let operand = (at + 1).min(255) as u8;
        if x.dtype != first.dtype {
            return Err(Misfit::DType(operand));
        }
        let dim = x.shape.dim(axis);
        if x.shape.rank() != first.shape.rank() || x.shape.with_dim(axis, 0) != first.shape.with_dim(axis, 0)
        {
            return Err(Misfit::Shape(operand));
        }
        len = len.checked_add(dim).ok_or(Misfit::Overflow)?;
    }
    Ok(TensorType { dtype: first.dtype, shape: first.shape.with_dim(axis, len) })
}
