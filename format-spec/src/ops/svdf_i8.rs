//! Filters of rank 1 over a feature and over time, of 8-bit integers with a state of 16 bits: x
//! `[N, I]`, w_feature `[F, I]`, feature_bias `[F]`, w_time `[F, M]`, bias `[U]`, requant `[2, 2]`, state
//! `[N, F, M]` → y `[N, U]`, with F = U · rank.

use super::{OutputI8, PLAIN, inputs_of, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `svdf_i8`: 16 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct SvdfI8Params {
    /// Filters whose results make one output.
    pub rank: u32,
    /// What happens to a sum over time once it is multiplied.
    pub y: OutputI8,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<SvdfI8Params>() as u32,
    output,
    macs,
    multipliers: Some(5),
    states: 1,
    ..PLAIN
};

const OPERANDS: [DType; 7] =
    [DType::I8, DType::I8, DType::I32, DType::I16, DType::I32, DType::I32, DType::I16];

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<SvdfI8Params>(params)?;
    p.y.valid()?;
    let [&x, &w_feature, feature_bias, &w_time, &bias, requant, &state] = inputs_of(inputs, OPERANDS)?;
    let operands = [(x, 0), (w_feature, 1), (w_time, 3), (bias, 4), (state, 6)];
    let shape = super::svdf::shape(p.rank, operands)?;
    if feature_bias.dims() != [w_feature.dim(0)] {
        return Err(Misfit::Shape(2));
    }
    if requant.dims() != [2, 2] {
        return Err(Misfit::Shape(5));
    }
    Ok(TensorType { dtype: DType::I8, shape })
}

fn macs(_: &[u8], inputs: &[TensorType], _: &TensorType) -> u64 {
    let len = |at: usize| inputs.get(at).and_then(|t| t.shape.len()).map_or(0, u64::from);
    let batch = inputs.first().map_or(0, |x| u64::from(x.shape.dim(0)));
    batch.saturating_mul(len(1).saturating_add(len(3)))
}
