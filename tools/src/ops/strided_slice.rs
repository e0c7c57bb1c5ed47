//! Slicing with strides.

use super::{Operator, OutputScale, moves};
use flatpack_format::OpCode;
use flatpack_format::ops::strided_slice::StridedSliceParams;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(moves::same_quant),
    scale: OutputScale::OfInputs,
    ..Operator::new(OpCode::StridedSlice, |r, graph, node, inputs| {
        let p: StridedSliceParams = node.params();
        (0..graph.dims(node.output).len()).try_fold(inputs[0], |x, axis| {
            let (begin, stride) = (i64::from(p.begin[axis]), i64::from(p.stride[axis]));
            r.gather(axis, (0..i64::from(p.size[axis])).map(|i| begin + i * stride), x)
        })
    })
};
