//! Sparsemax along one axis, as Keras 3 computes it.
//!
//! `xᵢ` is in the support if `Σⱼ max(xⱼ − xᵢ, 0) < 1`. A running sum over the support in descending order
//! has, for its last element and each before, the larger of the two: so all running sums together are the
//! sum of `max(xᵢ, xⱼ)` over the support's unordered pairs, of which `i = j` is one, half of what all
//! ordered pairs and the diagonal sum to. With their sum and the count k of the support,
//! `τ = (sum − 1) / k` and `y = max(x − τ, 0)`. No sorting: all pairs are compared.

use super::Operator;
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::sparsemax::SparsemaxParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;
use tract_core::ops::change_axes::AxisOp;
use tract_core::ops::logic::comp_lt;
use tract_core::ops::math::{add, div, max, mul, sub};
use tract_core::ops::nn::Reducer;

/// The operator.
pub const OPERATOR: Operator = Operator::new(OpCode::Sparsemax, reference);

fn reference(r: &mut Reference, _: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let axis = node.params::<SparsemaxParams>().axis as usize;
    r.in_f64(inputs[0], |r, x| {
        // `others` has the axis twice: i, then j.
        let i = r.wire(AxisOp::Add(axis + 1), &[x])?;
        let j = r.wire(AxisOp::Add(axis), &[x])?;
        let differences = r.binary(sub(), &[j, i])?;
        let above = r.with_scalar(max(), differences, 0.0)?;
        let excess = r.reduce(Reducer::Sum, &[axis + 1], above)?;
        let excess = r.wire(AxisOp::Rm(axis + 1), &[excess])?;

        let (zero, one) = (r.scalar_like(x, 0.0)?, r.scalar_like(x, 1.0)?);
        let members = r.select(comp_lt(), [excess, one], [one, zero])?;
        let count = r.reduce(Reducer::Sum, &[axis], members)?;

        let member_i = r.wire(AxisOp::Add(axis + 1), &[members])?;
        let member_j = r.wire(AxisOp::Add(axis), &[members])?;
        let both = r.binary(mul(), &[member_i, member_j])?;
        let larger = r.binary(max(), &[i, j])?;
        let larger = r.binary(mul(), &[both, larger])?;
        let pairs = r.reduce(Reducer::Sum, &[axis, axis + 1], larger)?;
        let pairs = r.wire(AxisOp::Rm(axis + 1), &[pairs])?;
        let diagonal = r.binary(mul(), &[members, x])?;
        let diagonal = r.reduce(Reducer::Sum, &[axis], diagonal)?;
        let twice = r.binary(add(), &[pairs, diagonal])?;
        let running_sums = r.with_scalar(mul(), twice, 0.5)?;

        let rest = r.with_scalar(sub(), running_sums, 1.0)?;
        let tau = r.binary(div(), &[rest, count])?;
        let y = r.binary(sub(), &[x, tau])?;
        r.with_scalar(max(), y, 0.0)
    })
}
