//! Group normalisation.

use super::Operator;
use crate::graph::{Graph, Node};
use crate::reference::{Reference, sizes};
use flatpack_format::OpCode;
use flatpack_format::ops::group_normalization::GroupNormalizationParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator = Operator::new(OpCode::GroupNormalization, reference);

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let p: GroupNormalizationParams = node.params();
    let dims = sizes(graph.dims(node.output));
    let positions = dims[1..dims.len() - 1].iter().product();
    let (groups, channels) = (p.groups as usize, dims[dims.len() - 1]);
    let split = r.reshape(&[dims[0], positions, groups, channels / groups], inputs[0])?;
    let y = r.in_f64(split, |r, x| r.normalize(&[1, 3], p.epsilon, x))?;
    let y = r.reshape(&dims, y)?;
    r.scale_and_bias(y, inputs)
}
