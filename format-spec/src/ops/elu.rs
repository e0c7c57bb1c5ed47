//! Exponential linear unit: `y = x` where x > 0, else `alpha · (eˣ − 1)`.

use super::{PLAIN, read, unary};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `elu`: 4 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct EluParams {
    /// Minus the limit towards −∞.
    pub alpha: f32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<EluParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    read::<EluParams>(params)?;
    unary::output(params, inputs)
}
