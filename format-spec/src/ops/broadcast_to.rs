//! Repetition along axes of length 1: x → y, by NumPy's broadcasting rule.

use super::{PLAIN, read, shape};
use crate::op::{Misfit, OpRule};
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `broadcast_to`: 28 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct BroadcastToParams {
    /// Dimensions of y; 0 past the rank.
    pub dims: [u32; MAX_RANK],
    /// Rank of y.
    pub rank: u32,
}

impl BroadcastToParams {
    /// Parameters that make this shape.
    pub fn new(shape: &Shape) -> Self {
        let mut dims = [0; MAX_RANK];
        dims.iter_mut().zip(shape.dims()).for_each(|(to, from)| *to = *from);
        Self { dims, rank: shape.rank() as u32 }
    }
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<BroadcastToParams>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<BroadcastToParams>(params)?;
    let [x] = inputs else { return Err(Misfit::Count) };
    let shape = shape(&p.dims, p.rank)?;
    if x.shape.broadcast(&shape) != Some(shape) {
        return Err(Misfit::Params);
    }
    Ok(TensorType { dtype: x.dtype, shape })
}
