//! Any function of one 8-bit integer, as a table: x, table `[256]` → y. The element of the table at the
//! byte that x is, read as an unsigned number.

use super::PLAIN;
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};

/// See the module. The output has the element type of the table.
pub const RULE: OpRule = OpRule { output, in_place: 0b1, ..PLAIN };

fn output(_: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let [x, table] = inputs else { return Err(Misfit::Count) };
    for (at, operand) in [x, table].into_iter().enumerate() {
        if !matches!(operand.dtype, DType::I8 | DType::U8) {
            return Err(Misfit::DType(at as u8));
        }
    }
    if table.shape.dims() != [256] {
        return Err(Misfit::Shape(1));
    }
    Ok(TensorType { dtype: table.dtype, shape: x.shape })
}
