//! Batched matrix product: a `[…, M, K]`, b `[…, K, N]` → y `[…, M, N]`. All dimensions but the
//! last two are equal.

use super::{PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::shape::Shape;
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `batch_matmul`: 4 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct BatchMatmulParams {
    /// 1 if b is `[…, N, K]`, else 0.
    pub transpose_b: u32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<BatchMatmulParams>() as u32, output, macs, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<BatchMatmulParams>(params)?;
    product_shape(f32_inputs(inputs)?, p.transpose_b).map(TensorType::f32)
}

/// The shape of the product of two.
pub(crate) fn product_shape([a, b]: [Shape; 2], transpose_b: u32) -> Result<Shape, Misfit> {
    if transpose_b > 1 {
        return Err(Misfit::Params);
    }
    let (Some((batch_a, &[_, k])), Some((batch_b, &[b0, b1]))) =
        (a.dims().split_last_chunk::<2>(), b.dims().split_last_chunk::<2>())
    else {
        return Err(Misfit::Rank(0));
    };
    let (depth, n) = if transpose_b == 1 { (b1, b0) } else { (b0, b1) };
    if batch_a != batch_b || depth != k {
        return Err(Misfit::Shape(1));
    }
    Ok(a.with_dim(a.rank() - 1, n))
}

fn macs(_: &[u8], inputs: &[TensorType], y: &TensorType) -> u64 {
    let depth = inputs.first().map_or(0, |a| a.shape.last());
    u64::from(y.shape.len().unwrap_or(0)) * u64::from(depth)
}
