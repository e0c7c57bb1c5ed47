//! Another shape over the same elements in the same order: x → y. Where memory allows, y lies in the
//! place of x and the step is left out of the file.

use super::{PLAIN, read, shape};
use crate::op::{Misfit, OpRule};
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `reshape`: 28 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct ReshapeParams {
    /// Dimensions of y; 0 past the rank.
    pub dims: [u32; MAX_RANK],
    /// Rank of y.
    pub rank: u32,
}

impl ReshapeParams {
    /// Parameters that make this shape.
    pub fn new(shape: &Shape) -> Self {
        let mut dims = [0; MAX_RANK];
        dims.iter_mut().zip(shape.dims()).for_each(|(to, from)| *to = *from);
        Self { dims, rank: shape.rank() as u32 }
    }
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<ReshapeParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<ReshapeParams>(params)?;
    let [x] = inputs else { return Err(Misfit::Count) };
    let shape = shape(&p.dims, p.rank)?;
    if shape.len() != x.shape.len() {
        return Err(Misfit::Params);
    }
    Ok(TensorType { dtype: x.dtype, shape })
}
