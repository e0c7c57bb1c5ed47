//! `Dense`: a fully connected layer over the last axis.

use flatpack_format::OpCode;
use flatpack_format::ops::{Clamp, fully_connected::FullyConnectedParams};

use super::{Lower, activation};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, Weights, size_of_layer};
use crate::import::keras::network::Layer;

pub(super) const LAYERS: &[(&str, Lower)] = &[("Dense", Lower::Map(dense))];

fn dense(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let units = size_of_layer(layer, "units")?;
    let depth = low.graph.tensor(x).shape().last();
    let mut weights = Weights::of(layer);
    let kernel = weights.take("kernel", &[depth, units])?;
    let bias = weights.take_if(layer.config.bool_or("use_bias", true)?, "bias", &[units])?;
    weights.end()?;
    let mut operands = vec![x, low.weight_as(kernel, &[1, 0], &[units, depth])?];
    if let Some(bias) = bias {
        operands.push(low.weight(bias)?);
    }
    let y = low.node(OpCode::FullyConnected, FullyConnectedParams { clamp: Clamp::NONE }, &operands)?;
    activation::of_layer(low, layer, y)
}
