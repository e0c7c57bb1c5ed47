//! Fully connected with weights of 8-bit integers.

use super::{Operator, fully_connected};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: fully_connected::OPERATOR.clamp,
    packs: fully_connected::OPERATOR.packs,
    ..Operator::new(OpCode::FullyConnectedW8, |r, graph, node, inputs| {
        let inputs = r.scaled_weights(0, inputs)?;
        fully_connected::reference(r, graph, node, &inputs)
    })
};
