//! Transposition.

use super::{Operator, OutputScale, moment, moves};
use crate::reference::sizes;
use flatpack_format::OpCode;
use flatpack_format::ops::transpose::TransposeParams;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(moves::same_quant),
    scale: OutputScale::OfInputs,
    moment: Some(|_, node, axes, _| {
        let axis = moment::first_alone(axes)?;
        let perm = node.params::<TransposeParams>().perm;
        moment::same(node, perm.iter().position(|&from| from as usize == axis)?)
    }),
    ..Operator::new(OpCode::Transpose, |r, graph, node, inputs| {
        let perm = node.params::<TransposeParams>().perm;
        r.transpose(&sizes(&perm[..graph.dims(node.output).len()]), inputs[0])
    })
};
