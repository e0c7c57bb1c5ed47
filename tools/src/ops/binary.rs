//! What the elementwise operators of two inputs have in common.

use super::{Operator, moment, part};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::binary::BinaryParams;
use std::mem::offset_of;
use tract_core::internal::{Datum, TractResult};
use tract_core::model::OutletId;
use tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_core::ops::cast::cast;

/// An operator whose output may take the place of either input, and that fuses an activation.
pub(crate) const fn operator(
    op: OpCode,
    reference: fn(&mut Reference, &Graph, &Node, &[OutletId]) -> TractResult<OutletId>,
) -> Operator {
    Operator {
        is_elementwise: true,
        moment: Some(moment::of_elements),
        part: Some(part::same_rows),
        clamp: Some(offset_of!(BinaryParams, clamp)),
        ..Operator::new(op, reference)
    }
}

/// One of tract's comparisons as 1 and 0, then the fused activation.
pub(crate) fn compared(
    r: &mut Reference,
    node: &Node,
    comparison: Box<dyn BinMiniOp>,
    inputs: &[OutletId],
) -> TractResult<OutletId> {
    let holds = r.binary(TypedBinOp(comparison, None), inputs)?;
    let y = r.wire(cast(f32::datum_type()), &[holds])?;
    r.clamp(node.params::<BinaryParams>().clamp, y)
}

/// One of tract's operators, then the fused activation.
pub(crate) fn clamped(
    r: &mut Reference,
    node: &Node,
    op: TypedBinOp,
    inputs: &[OutletId],
) -> TractResult<OutletId> {
    let y = r.binary(op, inputs)?;
    r.clamp(node.params::<BinaryParams>().clamp, y)
}
