//! Rows of a table by index: x `[…]`, table `[R, …]` → y `[…, …]`, the axes of x and then those of a row.

use super::{PLAIN, read};
use crate::op::{Misfit, OpRule};
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `gather`: 4 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct GatherParams {
    /// 1 if negative indices count from the last row, −1 being that; 0 if they name no row.
    pub from_end: u32,
}

/// The most rows of a table: every index up to there is a float32.
pub const MAX_ROWS: u32 = 1 << 24;

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<GatherParams>() as u32,
    output: |params, inputs| output(params, inputs, DType::F32),
    ..PLAIN
};

/// The output for a table of element type `dtype`; one of bytes has scales, for each row or one for all.
pub(crate) fn output(params: &[u8], inputs: &[TensorType], dtype: DType) -> Result<TensorType, Misfit> {
    if read::<GatherParams>(params)?.from_end > 1 {
        return Err(Misfit::Params);
    }
    let (x, table, scales) = match *inputs {
        [x, table] if dtype != DType::I8 => (x, table, None),
        [x, table, scales] if dtype == DType::I8 => (x, table, Some(scales)),
        _ => return Err(Misfit::Count),
    };
    if x.dtype != DType::F32 {
        return Err(Misfit::DType(0));
    }
    if table.dtype != dtype {
        return Err(Misfit::DType(1));
    }
    let (&rows, row) = table.shape.dims().split_first().ok_or(Misfit::Rank(1))?;
    if rows > MAX_ROWS {
        return Err(Misfit::Shape(1));
    }
    match scales {
        Some(scales) if scales.dtype != DType::F32 => return Err(Misfit::DType(2)),
        Some(scales) if scales.shape.dims() != [rows] && scales.shape.dims() != [1] => {
            return Err(Misfit::Shape(2));
        }
        _ => {}
    }
    let mut dims = [0; MAX_RANK];
    let rank = x.shape.rank() + row.len();
    let used = dims.get_mut(..rank).ok_or(Misfit::Rank(1))?;
    used.iter_mut().zip(x.shape.dims().iter().chain(row)).for_each(|(to, from)| *to = *from);
    Ok(TensorType::f32(Shape::new(used).ok_or(Misfit::Rank(1))?))
}
