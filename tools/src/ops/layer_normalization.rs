//! Layer normalisation over the last axes.

use super::{Operator, moment};
use crate::graph::{Graph, Node};
use crate::reference::{Reference, sizes};
use flatpack_format::OpCode;
use flatpack_format::ops::layer_normalization::LayerNormalizationParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator = Operator {
    moment: Some(|graph, node, axes, _| {
        let (axis, rank) = (moment::first_alone(axes)?, graph.dims(node.output).len());
        let over = node.params::<LayerNormalizationParams>().axis_count as usize;
        if axis + over < rank { moment::same(node, axis) } else { None }
    }),
    ..Operator::new(OpCode::LayerNormalization, reference)
};

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let p: LayerNormalizationParams = node.params();
    let dims = sizes(graph.dims(node.output));
    let (outer, inner) = dims.split_at(dims.len() - p.axis_count as usize);
    let rows = r.reshape(&[outer.iter().product(), inner.iter().product()], inputs[0])?;
    let y = r.in_f64(rows, |r, x| r.normalize(&[1], p.epsilon, x))?;
    let y = r.scale_and_bias(y, inputs)?;
    r.reshape(&dims, y)
}
