//! Continuously differentiable ELU: `y = max(x, 0) + min(0, alpha · (e^(x / alpha) − 1))`.

use super::{PLAIN, read, unary};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `celu`: 4 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct CeluParams {
    /// Minus the limit towards −∞; not 0.
    pub alpha: f32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<CeluParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let alpha = read::<CeluParams>(params)?.alpha;
    if alpha == 0.0 || alpha.is_nan() {
        return Err(Misfit::Params);
    }
    unary::output(params, inputs)
}
