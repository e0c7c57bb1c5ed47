//! Softsign: `x / (1 + |x|)`.

use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::{abs, add, div};

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Softsign,
    |r, _, _, inputs| {
        let magnitude = r.wire(abs(), inputs)?;
        let sum = r.with_scalar(add(), magnitude, 1.0)?;
        r.binary(div(), &[inputs[0], sum])
    },
    |graph, node| lookup::of_reals(graph, node, |x| x / (1.0 + x.abs())),
);
