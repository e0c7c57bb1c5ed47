//! Mean over neighbouring axes: x `[outer…, axes…, inner…]` → y `[outer…, inner…]`, or with ones in
//! place of the axes.

use super::{PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of the reductions: 12 bytes. Axes that are not neighbours are brought together by a
/// `transpose` first.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct ReduceParams {
    /// The first axis reduced.
    pub axis: u32,
    /// Number of axes reduced, at least 1.
    pub axis_count: u32,
    /// 1 to keep each reduced axis with length 1, 0 to drop it.
    pub keep_dims: u32,
}

impl ReduceParams {
    /// The elements before, in and after the reduced axes of `x`.
    pub fn around(&self, x: &Shape) -> Option<(u32, u32, u32)> {
        let product = |dims: &[u32]| dims.iter().try_fold(1u32, |len, &d| len.checked_mul(d));
        let (outer, rest) = x.dims().split_at_checked(self.axis as usize)?;
        let (reduced, inner) = rest.split_at_checked(self.axis_count as usize)?;
        Some((product(outer)?, product(reduced)?, product(inner)?))
    }
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<ReduceParams>() as u32, output, ..PLAIN };

pub(crate) fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<ReduceParams>(params)?;
    let [x] = f32_inputs(inputs)?;
    reduced_shape(&x, p).map(TensorType::f32)
}

/// The shape of the output of a reduction.
pub(crate) fn reduced_shape(x: &Shape, p: ReduceParams) -> Result<Shape, Misfit> {
    let (_, len, _) = p.around(x).ok_or(Misfit::Params)?;
    if p.axis_count == 0 || p.keep_dims > 1 {
        return Err(Misfit::Params);
    }
    if len == 0 {
        return Err(Misfit::Shape(0));
    }
    let reduced = p.axis as usize..p.axis as usize + p.axis_count as usize;
    let mut dims = [1; MAX_RANK];
    let mut rank = 0;
    for (axis, &dim) in x.dims().iter().enumerate() {
        let dim = match (reduced.contains(&axis), p.keep_dims) {
            (false, _) => dim,
            (true, 1) => 1,
            (true, _) => continue,
        };
        if let Some(to) = dims.get_mut(rank) {
            *to = dim;
            rank += 1;
        }
    }
    dims.get(..rank).and_then(Shape::new).ok_or(Misfit::Overflow)
}
