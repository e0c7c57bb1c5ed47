//! Integers of one width and scale to those of another: `y = clamp((x − x_zero_point) · multiplier +
//! y_zero_point)`. Signed bytes to signed bytes are a `lookup` instead.

use super::{Multiplier, PLAIN, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `requantize`: 20 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct RequantizeParams {
    /// The integer that stands for zero, of the input's type.
    pub x_zero_point: i32,
    /// The input's scale over the output's.
    pub multiplier: Multiplier,
    /// The integer that stands for zero, of the output's type.
    pub y_zero_point: i32,
    /// Number of the output's element type: `i8`, `i16` or `i32`.
    pub dtype: u32,
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<RequantizeParams>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<RequantizeParams>(params)?;
    let dtype = u8::try_from(p.dtype).ok().and_then(DType::from_number).ok_or(Misfit::Params)?;
    let [x] = inputs else { return Err(Misfit::Count) };
    let of_type = |zero_point: i32, dtype| match dtype {
        DType::I8 => Some(i8::try_from(zero_point).is_ok()),
        DType::I16 => Some(i16::try_from(zero_point).is_ok()),
        DType::I32 => Some(true),
        _ => None,
    };
    let x_fits = of_type(p.x_zero_point, x.dtype).ok_or(Misfit::DType(0))?;
    let y_fits = of_type(p.y_zero_point, dtype).ok_or(Misfit::Params)?;
    if x_fits && y_fits && p.multiplier.valid() {
        Ok(TensorType { dtype, shape: x.shape })
    } else {
        Err(Misfit::Params)
    }
}
