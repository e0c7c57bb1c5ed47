//! Slicing with strides.

use super::moment::Moment;
use super::{Operator, OutputScale, moment, moves};
use crate::graph::{Graph, Node};
use bytemuck::bytes_of;
use flatpack_format::OpCode;
use flatpack_format::ops::strided_slice::StridedSliceParams;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(moves::same_quant),
    scale: OutputScale::OfInputs,
    moment: Some(moment_of),
    ..Operator::new(OpCode::StridedSlice, |r, graph, node, inputs| {
        let p: StridedSliceParams = node.params();
        (0..graph.dims(node.output).len()).try_fold(inputs[0], |x, axis| {
            let (begin, stride) = (i64::from(p.begin[axis]), i64::from(p.stride[axis]));
            r.gather(axis, (0..i64::from(p.size[axis])).map(|i| begin + i * stride), x)
        })
    })
};

/// Of the moments, all are taken in their order.
fn moment_of(graph: &Graph, node: &Node, axes: &[Option<usize>], count: u32) -> Option<Moment> {
    let axis = moment::first_alone(axes)?;
    let mut params: StridedSliceParams = node.params();
    let all = params.begin[axis] == 0
        && params.stride[axis] == 1
        && params.size[axis] == graph.dims(node.inputs[0])[axis];
    params.size[axis] = count;
    all.then(|| Moment { params: bytes_of(&params).to_vec(), axis: Some(axis) })
}
