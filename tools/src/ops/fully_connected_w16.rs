//! Fully connected with weights of binary16.

use super::{Operator, fully_connected};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: fully_connected::OPERATOR.clamp,
    packs: fully_connected::OPERATOR.packs,
    ..Operator::new(OpCode::FullyConnectedW16, fully_connected::reference)
};
