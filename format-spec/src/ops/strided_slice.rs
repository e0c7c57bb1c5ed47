//! Slicing with strides: x → y of the same rank, `y[i…] = x[begin + i · stride…]`.

use super::{PLAIN, read};
use crate::op::{Misfit, OpRule};
use crate::shape::MAX_RANK;
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `strided_slice`: 72 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct StridedSliceParams {
    /// First index taken of each axis; 0 past the rank.
    pub begin: [u32; MAX_RANK],
    /// Step from one index to the next, negative to go backwards, never 0; 1 past the rank.
    pub stride: [i32; MAX_RANK],
    /// Number of indices taken; 1 past the rank.
    pub size: [u32; MAX_RANK],
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<StridedSliceParams>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<StridedSliceParams>(params)?;
    let [x] = inputs else { return Err(Misfit::Count) };
    let mut y = x.shape;
    for (axis, ((&begin, &stride), &size)) in p.begin.iter().zip(&p.stride).zip(&p.size).enumerate() {
        if axis >= x.shape.rank() {
            if (begin, stride, size) != (0, 1, 1) {
                return Err(Misfit::Params);
            }
            continue;
        }
        let last = i64::from(begin) + (i64::from(size) - 1) * i64::from(stride);
        let dim = x.shape.dim(axis);
        if stride == 0 || size == 0 || begin >= dim || last < 0 || last >= i64::from(dim) {
            return Err(Misfit::Params);
        }
        y = y.with_dim(axis, size);
    }
    Ok(TensorType { dtype: x.dtype, shape: y })
}
