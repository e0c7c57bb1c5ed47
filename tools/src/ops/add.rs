//! Sum.

use super::{Operator, binary};
use flatpack_format::OpCode;
use flatpack_format::ops::binary::BinaryParams;
use tract_core::ops::math::add;

/// The operator.
pub const OPERATOR: Operator = binary::operator(OpCode::Add, |r, _, node, inputs| {
    let sum = r.binary(node, add(), inputs)?;
    r.clamp(node, node.params::<BinaryParams>().clamp, sum)
});
