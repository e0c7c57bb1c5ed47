//! Gated recurrent units over a sequence.

use super::Operator;
use super::recurrence::{self, activate};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_gru::UnidirectionalSequenceGruParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;
use tract_core::ops::array::Slice;
use tract_core::ops::math::{add, mul, sub};

/// The operator.
pub const OPERATOR: Operator = Operator::new(OpCode::UnidirectionalSequenceGru, reference);

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let p: UnidirectionalSequenceGruParams = node.params();
    recurrence::reference(r, graph, node, &p.walk, inputs, |r, sums| {
        let hidden = sums.states[0];
        let mut gates = Vec::new();
        for at in 0..2 {
            let sum = sums.gate(r, at, hidden)?;
            gates.push(activate(r, p.walk.gate_activation, sum)?);
        }
        let (keep, reset) = (gates[0], gates[1]);
        let sum = if p.reset_after == 1 {
            let bias = r.wire(Slice::new(0, 3, 4), &[sums.bias])?;
            let product = sums.product(r, 2, hidden)?;
            let of_hidden = r.wire(add(), &[product, bias])?;
            let of_hidden = r.wire(mul(), &[reset, of_hidden])?;
            let of_x = sums.gate_of_x(r, 2)?;
            r.wire(add(), &[of_x, of_hidden])?
        } else {
            let scaled = r.wire(mul(), &[reset, hidden])?;
            sums.gate(r, 2, scaled)?
        };
        // keep · hidden + (1 − keep) · new
        let new = activate(r, p.walk.activation, sum)?;
        let apart = r.wire(sub(), &[hidden, new])?;
        let kept = r.wire(mul(), &[keep, apart])?;
        Ok(vec![r.wire(add(), &[new, kept])?])
    })
}
