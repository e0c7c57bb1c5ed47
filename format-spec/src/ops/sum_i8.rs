//! Sum of 8-bit integers over neighbouring axes, and with another multiplier their mean; see
//! [`super::mean`] for shapes.

use super::mean::{ReduceParams, reduced_shape};
use super::{Multiplier, OutputI8, PLAIN, inputs_of, read, zero_point_valid};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `sum_i8`: 36 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct SumI8Params {
    /// The first axis reduced.
    pub axis: u32,
    /// Number of axes reduced, at least 1.
    pub axis_count: u32,
    /// 1 to keep each reduced axis with length 1, 0 to drop it.
    pub keep_dims: u32,
    /// The integer that stands for zero in x.
    pub x_zero_point: i32,
    /// What a sum is multiplied by.
    pub multiplier: Multiplier,
    /// What happens to a sum once it is multiplied.
    pub y: OutputI8,
}

impl SumI8Params {
    /// The axes.
    pub fn axes(&self) -> ReduceParams {
        let &Self { axis, axis_count, keep_dims, .. } = self;
        ReduceParams { axis, axis_count, keep_dims }
    }
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<SumI8Params>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<SumI8Params>(params)?;
    p.y.valid()?;
    zero_point_valid(p.x_zero_point)?;
    if !p.multiplier.valid() {
        return Err(Misfit::Params);
    }
    let [x] = inputs_of(inputs, [DType::I8])?;
    Ok(TensorType { dtype: DType::I8, shape: reduced_shape(x, p.axes())? })
}
