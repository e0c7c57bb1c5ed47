//! Normalizations.

use super::Lower;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::Lowering;
use crate::import::keras::network::{Inner, Layer};

pub(super) const LAYERS: &[(&str, Lower)] = &[("SpectralNormalization", Lower::Map(spectral_normalization))];

/// The layer inside, whose kernel was normalized while it was trained.
fn spectral_normalization(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let wrong = |found: String| Fault::Unexpected {
        place: "the wrapped layer".into(),
        found,
        expected: "one layer with one output".into(),
    };
    let Inner::Layers(inside) = &layer.inner else { return Err(wrong("none".into())) };
    let [inside] = inside.as_slice() else { return Err(wrong(format!("{} layers", inside.len()))) };
    match low.apply(inside, &[x])?.as_slice() {
        [y] => Ok(*y),
        several => Err(wrong(format!("{} outputs", several.len()))),
    }
}
