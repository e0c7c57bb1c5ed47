//! `Embedding`: rows of a table by index.

use flatpack_format::OpCode;
use flatpack_format::ops::gather::GatherParams;

use super::Lower;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, Weights, size_of_layer};
use crate::import::keras::network::Layer;
use crate::import::keras::version::Dialect;

pub(super) const LAYERS: &[(&str, Lower)] = &[("Embedding", Lower::Map(embedding))];

fn embedding(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let table = [size_of_layer(layer, "input_dim")?, size_of_layer(layer, "output_dim")?];
    let mut weights = Weights::of(layer);
    let table = weights.take("table of embeddings", &table)?;
    weights.end()?;
    let table = low.weight(table)?;
    gathered(low, x, table)
}

/// The rows of `table` that `x` names. Indices below zero count from the end in Keras 3; before, they name no
/// row.
pub(super) fn gathered(low: &mut Lowering, x: TensorId, table: TensorId) -> Result<TensorId, Fault> {
    let from_end = u32::from(low.dialect == Dialect::Keras3);
    low.node(OpCode::Gather, GatherParams { from_end }, &[x, table])
}
