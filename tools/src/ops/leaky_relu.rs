//! Leaky rectifier.

use super::{Operator, unary};
use flatpack_format::OpCode;
use flatpack_format::ops::leaky_relu::LeakyReluParams;
use tract_core::ops::logic::comp_gte;
use tract_core::ops::math::mul;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::LeakyRelu, |r, _, node, inputs| {
    let x = inputs[0];
    let below = r.with_scalar(mul(), x, node.params::<LeakyReluParams>().alpha.into())?;
    let zero = r.scalar_like(x, 0.0)?;
    r.select(comp_gte(), [x, zero], [x, below])
});
