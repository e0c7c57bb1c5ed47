//! Transposition: x → y, axis `i` of y is axis `perm[i]` of x.

use super::{PLAIN, read};
use crate::op::{Misfit, OpRule};
use crate::shape::MAX_RANK;
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `transpose`: 24 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct TransposeParams {
    /// A permutation of the axes; past the rank, each axis is itself.
    pub perm: [u32; MAX_RANK],
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<TransposeParams>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<TransposeParams>(params)?;
    let [x] = inputs else { return Err(Misfit::Count) };
    let mut y = x.shape;
    let mut seen = 0u32;
    for (axis, &from) in p.perm.iter().enumerate() {
        let in_rank = axis < x.shape.rank();
        if from as usize >= MAX_RANK || seen >> from & 1 == 1 || (!in_rank && from as usize != axis) {
            return Err(Misfit::Params);
        }
        seen |= 1 << from;
        y = y.with_dim(axis, x.shape.dim(from as usize));
    }
    Ok(TensorType { dtype: x.dtype, shape: y })
}
