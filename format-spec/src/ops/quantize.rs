//! Reals to 8-bit integers: `y = clamp(round(x / scale) + zero_point)`; of two nearest integers, the
//! one away from zero.

use super::{PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `quantize`: 12 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct QuantizeParams {
    /// Positive and finite.
    pub scale: f32,
    /// The integer that stands for zero, of the output's type.
    pub zero_point: i32,
    /// Number of the output's element type: `i8` or `u8`.
    pub dtype: u32,
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<QuantizeParams>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<QuantizeParams>(params)?;
    let dtype = u8::try_from(p.dtype).ok().and_then(DType::from_number).ok_or(Misfit::Params)?;
    if !matches!(dtype, DType::I8 | DType::U8) {
        return Err(Misfit::Params);
    }
    quant_valid(p.scale, p.zero_point, dtype)?;
    let [x] = f32_inputs(inputs)?;
    Ok(TensorType { dtype, shape: x })
}

/// A scale is positive and finite; a zero point is one of the integers of the type, of 8 or 16 bits.
pub(crate) fn quant_valid(scale: f32, zero_point: i32, dtype: DType) -> Result<(), Misfit> {
    let of_type = match dtype {
        DType::I8 => i8::try_from(zero_point).is_ok(),
        DType::U8 => u8::try_from(zero_point).is_ok(),
        DType::I16 => i16::try_from(zero_point).is_ok(),
        _ => false,
    };
    if scale > 0.0 && scale < f32::INFINITY && of_type { Ok(()) } else { Err(Misfit::Params) }
}
