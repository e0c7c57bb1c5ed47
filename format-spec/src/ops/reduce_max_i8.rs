//! Maximum of 8-bit integers over neighbouring axes; see [`super::mean`] for shapes.

use super::mean::reduced_shape;
use super::{PLAIN, inputs_of, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};

pub use super::mean::ReduceParams;

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<ReduceParams>() as u32, output, ..PLAIN };

pub(crate) fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<ReduceParams>(params)?;
    let [x] = inputs_of(inputs, [DType::I8])?;
    Ok(TensorType { dtype: DType::I8, shape: reduced_shape(x, p)? })
}
