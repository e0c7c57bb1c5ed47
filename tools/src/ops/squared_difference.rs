//! Squared difference.

use super::{Operator, binary, squared_difference_i8};
use flatpack_format::OpCode;
use flatpack_format::ops::binary::BinaryParams;
use tract_core::ops::math::{square, sub};

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(squared_difference_i8::from_reals),
    ..binary::operator(OpCode::SquaredDifference, |r, _, node, inputs| {
        let difference = r.binary(sub(), inputs)?;
        let y = r.wire(square(), &[difference])?;
        r.clamp(node.params::<BinaryParams>().clamp, y)
    })
};
