//! Long short-term memory over a sequence.

use super::{Operator, logistic, unidirectional_sequence_lstm_i8};
use crate::graph::{Graph, Node};
use crate::reference::{Reference, sizes};
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams;
use tract_core::internal::{TractResult, ensure};
use tract_core::model::OutletId;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::math::{add, mul, tanh};

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(unidirectional_sequence_lstm_i8::from_reals),
    ..Operator::new(OpCode::UnidirectionalSequenceLstm, reference)
};

/// The most moments: tract's graph has all operators of each.
const MAX_MOMENTS: usize = 1 << 12;

/// The moments one after the other, each by formulas.
fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let p: UnidirectionalSequenceLstmParams = node.params();
    let &[x, w, recurrent, bias, mut hidden, mut cell] = inputs else {
        unreachable!("the rule has six inputs")
    };
    let (x_dims, w_dims) = (sizes(graph.dims(node.inputs[0])), sizes(graph.dims(node.inputs[1])));
    let (units, depth) = (w_dims[1], w_dims[2]);
    let (time_axis, batch_axis) = if p.time_major == 1 { (0, 1) } else { (1, 0) };
    let (time, batch) = (x_dims[time_axis], x_dims[batch_axis]);
    ensure!(time <= MAX_MOMENTS, "a sequence of {time} moments, expected at most {MAX_MOMENTS}");
    let w = r.reshape(&[4 * units, depth], w)?;
    let recurrent = r.reshape(&[4 * units, units], recurrent)?;
    let bias = r.reshape(&[4 * units], bias)?;
    let products = r.einsum("abi,gi->abg", &[x, w])?;
    let products = r.bias(products, Some(bias))?;
    let mut moments = Vec::new();
    for t in 0..time {
        let of_x = r.wire(Slice::new(time_axis, t, t + 1), &[products])?;
        let of_x = r.reshape(&[batch, 4 * units], of_x)?;
        let of_h = r.einsum("nu,gu->ng", &[hidden, recurrent])?;
        let sums = r.wire(add(), &[of_x, of_h])?;
        let mut gates = [sums; 4];
        for (gate, sum) in gates.iter_mut().enumerate() {
            let of_gate = r.wire(Slice::new(1, gate * units, (gate + 1) * units), &[sums])?;
            *sum = r.in_f64(of_gate, |r, x| match gate {
                2 => r.wire(tanh(), &[x]),
                _ => logistic::logistic(r, x),
            })?;
        }
        let [i, f, g, o] = gates;
        let kept = r.wire(mul(), &[f, cell])?;
        let new = r.wire(mul(), &[i, g])?;
        cell = r.wire(add(), &[kept, new])?;
        cell = r.clamp(Clamp { min: -p.cell_clip, max: p.cell_clip }, cell)?;
        let bounded = r.in_f64(cell, |r, x| r.wire(tanh(), &[x]))?;
        hidden = r.wire(mul(), &[o, bounded])?;
        let mut dims = [batch, 1, units];
        dims.swap(1, time_axis);
        moments.push(r.reshape(&dims, hidden)?);
    }
    r.wire(TypedConcat { axis: time_axis }, &moments)
}
