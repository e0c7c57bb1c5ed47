//! Sum of 8-bit integers, with broadcasting: a, b → y.

use super::{Multiplier, OutputI8, PLAIN, inputs_of, read, zero_point_valid};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `add_i8`: 44 bytes. Both inputs are brought to one scale, 2⁻²⁰ of which is the unit
/// of the sum.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct AddI8Params {
    /// The integer that stands for zero in a.
    pub a_zero_point: i32,
    /// The integer that stands for zero in b.
    pub b_zero_point: i32,
    /// What `(a − a_zero_point) · 2²⁰` is multiplied by.
    pub a_multiplier: Multiplier,
    /// What `(b − b_zero_point) · 2²⁰` is multiplied by.
    pub b_multiplier: Multiplier,
    /// What the sum is multiplied by.
    pub multiplier: Multiplier,
    /// What happens to the sum then.
    pub y: OutputI8,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<AddI8Params>() as u32, output, in_place: 0b11, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<AddI8Params>(params)?;
    p.y.valid()?;
    zero_point_valid(p.a_zero_point)?;
    zero_point_valid(p.b_zero_point)?;
    if ![p.a_multiplier, p.b_multiplier, p.multiplier].iter().all(Multiplier::valid) {
        return Err(Misfit::Params);
    }
    broadcast(inputs)
}

/// The type of an output of 8-bit integers to whose shape two such inputs broadcast.
pub(crate) fn broadcast(inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let [a, b] = inputs_of(inputs, [DType::I8; 2])?;
    let shape = a.broadcast(b).ok_or(Misfit::Shape(1))?;
    Ok(TensorType { dtype: DType::I8, shape })
}
