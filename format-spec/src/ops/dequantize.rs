//! Integers of 8 or 16 bits to reals: `y = scale · (x − zero_point)`.

use super::quantize::quant_valid;
use super::{PLAIN, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `dequantize`: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct DequantizeParams {
    /// Positive and finite.
    pub scale: f32,
    /// The integer that stands for zero, of the input's type.
    pub zero_point: i32,
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<DequantizeParams>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<DequantizeParams>(params)?;
    let [x] = inputs else { return Err(Misfit::Count) };
    if !matches!(x.dtype, DType::I8 | DType::U8 | DType::I16) {
        return Err(Misfit::DType(0));
    }
    quant_valid(p.scale, p.zero_point, x.dtype)?;
    Ok(TensorType::f32(x.shape))
}
