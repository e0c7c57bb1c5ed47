//! What the elementwise operators of one input have in common.

use super::{Lower, Operator, moment, part};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// An operator whose output may take the place of its input.
pub(crate) const fn operator(
    op: OpCode,
    reference: fn(&mut Reference, &Graph, &Node, &[OutletId]) -> TractResult<OutletId>,
    integer: Lower,
) -> Operator {
    Operator {
        is_elementwise: true,
        part: Some(part::same_rows),
        moment: Some(moment::of_elements),
        integer: Some(integer),
        ..Operator::new(op, reference)
    }
}
