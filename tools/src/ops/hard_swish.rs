//! Hard swish: `x · min(max(x + 3, 0), 6) / 6`.

use super::{Operator, unary};
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use tract_core::ops::math::{add, div, mul};

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::HardSwish, |r, _, _, inputs| {
    let line = r.with_scalar(add(), inputs[0], 3.0)?;
    let gate = r.clamp(Clamp { min: 0.0, max: 6.0 }, line)?;
    let product = r.binary(mul(), &[inputs[0], gate])?;
    r.with_scalar(div(), product, 6.0)
});
