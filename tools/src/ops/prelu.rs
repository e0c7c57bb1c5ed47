//! Parametric rectifier.

use super::{Operator, part, prelu_i8};
use flatpack_format::OpCode;
use tract_core::ops::logic::comp_gte;
use tract_core::ops::math::mul;

/// The operator.
pub const OPERATOR: Operator = Operator {
    is_elementwise: true,
    part: Some(part::same_rows),
    integer: Some(prelu_i8::from_reals),
    ..Operator::new(OpCode::Prelu, |r, _, _, inputs| {
        let x = inputs[0];
        let below = r.binary(mul(), inputs)?;
        let zero = r.scalar_like(x, 0.0)?;
        r.select(comp_gte(), [x, zero], [x, below])
    })
};
