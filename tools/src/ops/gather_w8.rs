//! Rows of a table of 8-bit integers by index.

use super::{Operator, gather};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator::new(OpCode::GatherW8, |r, graph, node, inputs| {
    let inputs = r.scaled_weights(0, inputs)?;
    gather::reference(r, graph, node, &inputs)
});
