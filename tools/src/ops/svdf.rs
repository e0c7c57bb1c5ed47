//! Filters of rank 1 over a feature and over time.

use super::{Operator, svdf_i8};
use crate::graph::{Graph, Node};
use crate::reference::{Reference, sizes};
use flatpack_format::OpCode;
use flatpack_format::ops::svdf::SvdfParams;
use std::mem::offset_of;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::math::mul;
use tract_core::ops::nn::Reducer;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: Some(offset_of!(SvdfParams, clamp)),
    integer: Some(svdf_i8::from_reals),
    ..Operator::new(OpCode::Svdf, reference)
};

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let p: SvdfParams = node.params();
    let &[x, w_feature, w_time, bias, state] = inputs else { unreachable!("the rule has five inputs") };
    let dims = sizes(graph.dims(node.inputs[4]));
    let (batch, filters, memory) = (dims[0], dims[1], dims[2]);
    let feature = r.einsum("ni,fi->nf", &[x, w_feature])?;
    let mut held = r.reshape(&[batch, filters, 1], feature)?;
    if memory > 1 {
        let kept = r.wire(Slice::new(2, 1, memory), &[state])?;
        held = r.wire(TypedConcat { axis: 2 }, &[kept, held])?;
    }
    let products = r.binary(mul(), &[held, w_time])?;
    let sums = r.reduce(Reducer::Sum, &[2], products)?;
    let rank = p.rank as usize;
    let sums = r.reshape(&[batch, filters / rank, rank], sums)?;
    let sums = r.reduce(Reducer::Sum, &[2], sums)?;
    let sums = r.reshape(&[batch, filters / rank], sums)?;
    let sums = r.bias(sums, Some(bias))?;
    r.clamp(p.clamp, sums)
}
