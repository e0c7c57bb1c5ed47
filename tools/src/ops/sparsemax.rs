//! Sparsemax along one axis.
//!
//! `xᵢ` is in the support if `Σⱼ max(xⱼ − xᵢ, 0) < 1`; then `y = max(x − τ, 0)`, where τ is such that
//! the support sums to 1. No sorting: all pairs are compared.

use super::Operator;
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::sparsemax::SparsemaxParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;
use tract_core::ops::change_axes::AxisOp;
use tract_core::ops::logic::comp_lt;
use tract_core::ops::math::{div, max, sub};
use tract_core::ops::nn::Reducer;

/// The operator.
pub const OPERATOR: Operator = Operator { in_place: 1, ..Operator::new(OpCode::Sparsemax, reference) };

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
        let support = r.select(comp_lt(), [excess, one], [x, zero])?;
        let members = r.select(comp_lt(), [excess, one], [one, zero])?;
        let sum = r.reduce(Reducer::Sum, &[axis], support)?;
        let count = r.reduce(Reducer::Sum, &[axis], members)?;
        let rest = r.with_scalar(sub(), sum, 1.0)?;
        let tau = r.binary(div(), &[rest, count])?;
        let y = r.binary(sub(), &[x, tau])?;
        r.with_scalar(max(), y, 0.0)
    })
}
