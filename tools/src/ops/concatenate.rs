//! Concatenation.

use super::{Operator, OutputScale, moves};
use flatpack_format::OpCode;
use flatpack_format::ops::concatenate::ConcatenateParams;
use tract_core::ops::array::TypedConcat;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(moves::same_quant),
    scale: OutputScale::OfInputs,
    ..Operator::new(OpCode::Concatenate, |r, _, node, inputs| {
        r.wire(TypedConcat { axis: node.params::<ConcatenateParams>().axis as usize }, inputs)
    })
};
