//! Batched matrix product of 8-bit integers: a `[…, M, K]`, b `[…, K, N]` → y `[…, M, N]`. All
//! dimensions but the last two are equal.

use super::batch_matmul::product_shape;
use super::{Multiplier, OutputI8, PLAIN, inputs_of, read, zero_point_valid};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `batch_matmul_i8`: 32 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct BatchMatmulI8Params {
    /// 1 if b is `[…, N, K]`, else 0.
    pub transpose_b: u32,
    /// The integer that stands for zero in a.
    pub a_zero_point: i32,
    /// The integer that stands for zero in b.
    pub b_zero_point: i32,
    /// What a sum is multiplied by.
    pub multiplier: Multiplier,
    /// What happens to a sum once it is multiplied.
    pub y: OutputI8,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<BatchMatmulI8Params>() as u32,
    output,
    macs: |params, inputs, y| (super::batch_matmul::RULE.macs)(params, inputs, y),
    ..PLAIN
};

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<BatchMatmulI8Params>(params)?;
    p.y.valid()?;
    zero_point_valid(p.a_zero_point)?;
    zero_point_valid(p.b_zero_point)?;
    if !p.multiplier.valid() {
        return Err(Misfit::Params);
    }
    let [&a, &b] = inputs_of(inputs, [DType::I8; 2])?;
    Ok(TensorType { dtype: DType::I8, shape: product_shape([a, b], p.transpose_b)? })
}
