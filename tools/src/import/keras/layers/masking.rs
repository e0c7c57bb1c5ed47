//! `Masking`: time steps that are all one value do not count, and become zeros.

use flatpack_format::OpCode;

use super::Lower;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::Lowering;
use crate::import::keras::network::Layer;

pub(super) const LAYERS: &[(&str, Lower)] = &[("Masking", Lower::Map(masking))];

fn masking(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let mask = low.counted(x, layer.config.f64_or("mask_value", 0.0)? as f32, true)?;
    low.binary(OpCode::Mul, x, mask)
}
