//! Rows of a table by index.

use super::{FewerBytes, Operator, moment};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::gather::GatherParams;
use tract_core::internal::{Datum, Tensor, TractResult};
use tract_core::model::OutletId;
use tract_core::ops::array::{Gather, TypedConcat};
use tract_core::ops::cast::cast;
use tract_core::ops::logic::{comp_gte, comp_lt};
use tract_core::ops::math::{add, ceil};

/// The operator. A scale belongs to a row.
pub const OPERATOR: Operator = Operator {
    fewer_bytes: Some(FewerBytes::of_outputs(OpCode::GatherW8, OpCode::GatherW16, 0)),
    moment: Some(|_, node, axes, _| moment::same(node, moment::first_alone(axes)?)),
    ..Operator::new(OpCode::Gather, reference)
};

/// A row of zeros follows the table, and indices that name no row name that.
pub(super) fn reference(
    r: &mut Reference,
    _: &Graph,
    node: &Node,
    inputs: &[OutletId],
) -> TractResult<OutletId> {
    let (x, table) = (inputs[0], inputs[1]);
    let mut dims = r.dims(table)?;
    let rows = dims[0] as f64;
    let past = r.scalar_like(x, rows)?;
    dims[0] = 1;
    let zeros = r.constant(Tensor::zero::<f32>(&dims)?)?;
    let table = r.wire(TypedConcat { axis: 0 }, &[table, zeros])?;
    let (last, before) = (r.scalar_like(x, -1.0)?, r.scalar_like(x, (-1f32).next_up().into())?);
    let mut index = x;
    if node.params::<GatherParams>().from_end == 1 {
        let whole = r.wire(ceil(), &[x])?;
        let counted = r.binary(add(), &[whole, past])?;
        index = r.select(comp_gte(), [last, x], [counted, x])?;
    }
    // All comparisons are such that a NaN fails them.
    let index = r.select(comp_gte(), [index, before], [index, past])?;
    let index = r.select(comp_lt(), [index, past], [index, past])?;
    let index = r.wire(cast(i64::datum_type()), &[index])?;
    r.wire(Gather::new(0), &[table, index])
}
