//! Batched matrix product.

use super::{Operator, batch_matmul_i8};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::batch_matmul::BatchMatmulParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator =
    Operator { integer: Some(batch_matmul_i8::from_reals), ..Operator::new(OpCode::BatchMatmul, reference) };

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let batch: String = ('a'..'k').take(graph.dims(node.inputs[0]).len() - 2).collect();
    let b = if node.params::<BatchMatmulParams>().transpose_b == 1 { "nk" } else { "kn" };
    r.einsum(&format!("{batch}mk,{batch}{b}->{batch}mn"), inputs)
}
