//! Padding with a constant: x → y, `before` and `after` elements more on each axis.

use super::{PLAIN, f32_or_byte, read};
use crate::op::{Misfit, OpRule};
use crate::shape::MAX_RANK;
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `pad`: 52 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct PadParams {
    /// Elements added before the first of each axis; 0 past the rank.
    pub before: [u32; MAX_RANK],
    /// Elements added after the last of each axis; 0 past the rank.
    pub after: [u32; MAX_RANK],
    /// Their value; for integers, one of the type.
    pub value: f32,
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<PadParams>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<PadParams>(params)?;
    let TensorType { dtype, shape: x } = f32_or_byte(inputs)?;
    let (low, high) = match dtype {
        DType::I8 => (-128, 127),
        DType::U8 => (0, 255),
        DType::Bool => (0, 1),
        _ => (0, 0),
    };
    // Integers of 8 bits are floats; other floats become other numbers.
    let whole = p.value as i32;
    if dtype != DType::F32 && (whole as f32 != p.value || whole < low || whole > high) {
        return Err(Misfit::Params);
    }
    let mut y = x;
    for (axis, (&before, &after)) in p.before.iter().zip(&p.after).enumerate() {
        if axis >= x.rank() {
            if before != 0 || after != 0 {
                return Err(Misfit::Params);
            }
            continue;
        }
        let dim = x.dim(axis).checked_add(before).and_then(|d| d.checked_add(after));
        y = y.with_dim(axis, dim.ok_or(Misfit::Overflow)?);
    }
    Ok(TensorType { dtype, shape: y })
}
