//! Repetition along axes of length 1.

use super::{Operator, OutputScale, moves};
use crate::reference::sizes;
use flatpack_format::OpCode;

/// The operator: element 0 of an axis again and again. tract's own broadcast is moved across a
/// product of matrices by its optimizer, which then fails.
pub const OPERATOR: Operator = Operator {
    integer: Some(moves::same_quant),
    scale: OutputScale::OfInputs,
    ..Operator::new(OpCode::BroadcastTo, |r, graph, node, inputs| {
        let dims = sizes(graph.dims(node.output));
        let from = r.dims(inputs[0])?;
        let missing = dims.len() - from.len();
        let lifted: Vec<usize> = std::iter::repeat_n(1, missing).chain(from).collect();
        let x = r.reshape(&lifted, inputs[0])?;
        let repeated = |axis: &usize| lifted[*axis] != dims[*axis];
        (0..dims.len())
            .filter(repeated)
            .try_fold(x, |x, axis| r.gather(axis, std::iter::repeat_n(0, dims[axis]), x))
    })
};
