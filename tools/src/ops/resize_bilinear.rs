//! Resizing by bilinear interpolation: a product with one matrix along rows, and one along columns.

use super::{Operator, OutputScale, resize_bilinear_i8};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::resize_bilinear::ResizeBilinearParams;
use flatpack_format::ops::resize_nearest_neighbor::{ALIGN_CORNERS, HALF_PIXEL_CENTERS};
use tract_core::internal::{Tensor, TractResult};
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(resize_bilinear_i8::from_reals),
    scale: OutputScale::OfInputs,
    ..Operator::new(OpCode::ResizeBilinear, reference)
};

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let (from, to) = (graph.dims(node.inputs[0]), graph.dims(node.output));
    let grid = node.params::<ResizeBilinearParams>().grid;
    let rows = r.constant(interpolation(from[1], to[1], grid)?)?;
    let columns = r.constant(interpolation(from[2], to[2], grid)?)?;
    let x = r.einsum("nhwc,ph->npwc", &[inputs[0], rows])?;
    r.einsum("npwc,qw->npqc", &[x, columns])
}

/// The weight of each of `from` inputs in each of `to` outputs: `[to, from]`.
fn interpolation(from: u32, to: u32, grid: u32) -> TractResult<Tensor> {
    let mut weights = vec![0.0; to as usize * from as usize];
    for (output, row) in weights.chunks_exact_mut(from as usize).enumerate() {
        let (output, inputs, outputs) = (output as f64, f64::from(from), f64::from(to));
        let at = match grid {
            ALIGN_CORNERS => output * (inputs - 1.0) / (outputs - 1.0).max(1.0),
            HALF_PIXEL_CENTERS => (output + 0.5) * inputs / outputs - 0.5,
            _ => output * inputs / outputs,
        };
        let at = at.clamp(0.0, f64::from(from - 1));
        for (input, weight) in row.iter_mut().enumerate() {
            *weight = (1.0 - (at - input as f64).abs()).max(0.0) as f32;
        }
    }
    Tensor::from_shape(&[to as usize, from as usize], &weights)
}
