//! Gaussian error linear unit: `y = x / 2 · (1 + erf(x / √2))`, or its approximation
//! `y = x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))` (Hendrycks and Gimpel, 2016).

use super::{PLAIN, read, unary};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `gelu`: 4 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct GeluParams {
    /// 1 for the approximation by tanh, else 0.
    pub approximate: u32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<GeluParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    if read::<GeluParams>(params)?.approximate > 1 {
        return Err(Misfit::Params);
    }
    unary::output(params, inputs)
}
