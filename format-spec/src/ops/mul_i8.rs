//! Product of 8-bit integers, with broadcasting: a, b → y.

use super::add_i8::broadcast;
use super::{Multiplier, OutputI8, PLAIN, read, zero_point_valid};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `mul_i8`: 28 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct MulI8Params {
    /// The integer that stands for zero in a.
    pub a_zero_point: i32,
    /// The integer that stands for zero in b.
    pub b_zero_point: i32,
    /// What the product is multiplied by.
    pub multiplier: Multiplier,
    /// What happens to it then.
    pub y: OutputI8,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<MulI8Params>() as u32, output, in_place: 0b11, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<MulI8Params>(params)?;
    p.y.valid()?;
    zero_point_valid(p.a_zero_point)?;
    zero_point_valid(p.b_zero_point)?;
    if !p.multiplier.valid() {
        return Err(Misfit::Params);
    }
    broadcast(inputs)
}
