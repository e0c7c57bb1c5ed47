//! Fully connected: x `[…, I]`, w `[O, I]`, bias `[O]` (may be absent) → y `[…, O]`.

use super::{Clamp, PLAIN, Weighted, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `fully_connected`: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct FullyConnectedParams {
    /// Bounds on y.
    pub clamp: Clamp,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<FullyConnectedParams>() as u32,
    output: |params, inputs| output(params, inputs, DType::F32),
    macs,
    packed: |_| &[Layout::Panel16],
    ..PLAIN
};

/// The rule for weights of type `dtype`.
pub(crate) fn output(params: &[u8], inputs: &[TensorType], dtype: DType) -> Result<TensorType, Misfit> {
    read::<FullyConnectedParams>(params)?.clamp.valid()?;
    let weighted = Weighted::of(inputs, dtype)?;
    let (x, w) = (weighted.x, weighted.w);
    let &[o, i] = w.dims() else { return Err(Misfit::Rank(1)) };
    let last = x.rank().checked_sub(1).ok_or(Misfit::Rank(0))?;
    if x.dim(last) != i || i == 0 {
        return Err(Misfit::Shape(1));
    }
    weighted.check_outputs(o)?;
    Ok(TensorType::f32(x.with_dim(last, o)))
}

fn macs(_: &[u8], inputs: &[TensorType], y: &TensorType) -> u64 {
    let depth = inputs.get(1).map_or(0, |w| w.shape.dim(1));
    u64::from(y.shape.len().unwrap_or(0)) * u64::from(depth)
}
