//! Fully connected layer of 8-bit integers: x `[…, I]`, w `[O, I]`, bias `[O]`, requant
//! `[O or 1, 2]` → y `[…, O]`.

use super::{OutputI8, PLAIN, WEIGHTED_I8, check_requant, inputs_of, read, zero_point_valid};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `fully_connected_i8`: 20 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct FullyConnectedI8Params {
    /// The integer that stands for zero in x.
    pub x_zero_point: i32,
    /// The integer that stands for zero in w.
    pub w_zero_point: i32,
    /// What happens to a sum once it is multiplied.
    pub y: OutputI8,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<FullyConnectedI8Params>() as u32,
    output,
    macs: |params, inputs, y| (super::fully_connected::RULE.macs)(params, inputs, y),
    packed: |_| &[Layout::Pairs, Layout::Panel16x4],
    multipliers: Some(3),
    ..PLAIN
};

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<FullyConnectedI8Params>(params)?;
    p.y.valid()?;
    zero_point_valid(p.x_zero_point)?;
    zero_point_valid(p.w_zero_point)?;
    let [x, w, bias, requant] = inputs_of(inputs, WEIGHTED_I8)?;
    let &[o, i] = w.dims() else { return Err(Misfit::Rank(1)) };
    let last = x.rank().checked_sub(1).ok_or(Misfit::Rank(0))?;
    if x.dim(last) != i || i == 0 {
        return Err(Misfit::Shape(1));
    }
    check_requant([bias, requant], o)?;
    Ok(TensorType { dtype: DType::I8, shape: x.with_dim(last, o) })
}
