//! Parametric rectifier of 8-bit integers: x, alpha (broadcast to x) → y.

use super::{Multiplier, OutputI8, PLAIN, inputs_of, read, zero_point_valid};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `prelu_i8`: 36 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct PreluI8Params {
    /// The integer that stands for zero in x.
    pub x_zero_point: i32,
    /// The integer that stands for zero in alpha.
    pub alpha_zero_point: i32,
    /// What x is multiplied by where it is not below zero.
    pub x_multiplier: Multiplier,
    /// What `alpha · x` is multiplied by.
    pub multiplier: Multiplier,
    /// What happens to either product then.
    pub y: OutputI8,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<PreluI8Params>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<PreluI8Params>(params)?;
    p.y.valid()?;
    zero_point_valid(p.x_zero_point)?;
    zero_point_valid(p.alpha_zero_point)?;
    if !p.x_multiplier.valid() || !p.multiplier.valid() {
        return Err(Misfit::Params);
    }
    let [&x, &alpha] = inputs_of(inputs, [DType::I8; 2])?;
    if x.broadcast(&alpha) != Some(x) {
        return Err(Misfit::Shape(1));
    }
    Ok(TensorType { dtype: DType::I8, shape: x })
}
