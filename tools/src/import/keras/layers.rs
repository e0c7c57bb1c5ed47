//! What each class of layers becomes: one module per family, each with its table.

use super::code;
use super::lower::Lowering;
use super::network::{Call, Inner, Layer};
use crate::graph::TensorId;
use crate::import::{Fault, ImportError};
use std::path::Path;

mod activation;
mod attention;
mod categories;
mod conv;
mod conv_lstm;
mod dense;
mod einsum;
mod embedding;
mod locally_connected;
mod masking;
mod merging;
mod normalization;
mod operation;
mod pooling;
mod preprocessing;
mod recurrent;
mod regularization;
mod reshaping;
mod spatial;
mod spectrogram;
#[cfg(test)]
mod tests;
mod transposed_conv;
mod wrapper;

pub(super) use categories::within_float32;
pub(super) use merging::concatenated;
pub(super) use operation::{called as operation_called, function_called};
pub(super) use recurrent::result_masks as recurrent_result_masks;

/// How a class of layers is lowered.
#[derive(Clone, Copy)]
pub(super) enum Lower {
    /// One tensor in, one out; the call has no other arguments.
    Map(fn(&mut Lowering, &Layer, TensorId) -> Result<TensorId, Fault>),
    /// As `Map`, with the mask of the tensor, if it has one; it may have no meaning for the layer.
    Masked(fn(&mut Lowering, &Layer, TensorId, Option<TensorId>) -> Result<TensorId, Fault>),
    /// Anything else.
    Call(fn(&mut Lowering, &Layer, &Call) -> Result<Vec<TensorId>, Fault>),
}

/// Layers by class.
const LAYERS: &[&[(&str, Lower)]] = &[
    activation::LAYERS,
    attention::LAYERS,
    categories::LAYERS,
    conv::LAYERS,
    dense::LAYERS,
    einsum::LAYERS,
    embedding::LAYERS,
    locally_connected::LAYERS,
    masking::LAYERS,
    merging::LAYERS,
    normalization::LAYERS,
    pooling::LAYERS,
    preprocessing::LAYERS,
    recurrent::LAYERS,
    regularization::LAYERS,
    reshaping::LAYERS,
    spectrogram::LAYERS,
    transposed_conv::LAYERS,
    wrapper::LAYERS,
];

/// Keras' own layers that are not lowered yet.
const NOT_YET: &[&str] = &[
    "AutoContrast",
    "ConvLSTM1DCell",
    "ConvLSTM2DCell",
    "ConvLSTM3DCell",
    "CutMix",
    "DenseFeatures",
    "Highway",
    "MaxNumBoundingBoxes",
    "MaxoutDense",
    "MixUp",
    "PeepholeLSTMCell",
    "SeparableConv3D",
];

/// Keras' own layers that compute with what no tensor holds.
const ON_TEXT: &[&str] = &["HashedCrossing", "StringLookup", "TextVectorization"];

/// How the class of this layer is lowered.
///
/// # Errors
/// When it is not: a layer of Keras that is yet to come, a custom one, or Python code.
pub(super) fn lower(layer: &Layer) -> Result<Lower, Fault> {
    let class = layer.class.as_str();
    let custom = layer.registered_name.as_deref().filter(|name| name.contains('>'));
    if let (None, Some(fault)) = (custom, code::class(class, layer.module.as_deref())) {
        return Err(fault);
    }
    if custom.is_none() && layer.is_operation {
        return Ok(Lower::Call(operation::lower));
    }
    if let (None, Some((_, lower))) =
        (custom, LAYERS.iter().copied().flatten().find(|(known, _)| *known == class))
    {
        return Ok(*lower);
    }
    if custom.is_none() && recurrent::CELLS.contains(&class) {
        return Err(Fault::Unsupported {
            what: format!("the cell {class} outside of the layer RNN"),
            remedy: "call RNN of it".into(),
        });
    }
    if custom.is_none() && ON_TEXT.contains(&class) {
        return Err(categories::on_text(class));
    }
    if custom.is_none() && NOT_YET.contains(&class) {
        return Err(Fault::Unsupported {
            what: format!("the layer {class} of Keras in this version of flatpack"),
            remedy: "build the model without it".into(),
        });
    }
    Err(code::custom(custom.unwrap_or(class)))
}

/// Whether a layer is Keras' own, and read.
pub(super) fn is_read(layer: &Layer) -> bool {
    const FUNCTIONS: [&str; 3] = ["SlicingOpLambda", "TFOpLambda", "TensorFlowOpLayer"];
    let class = layer.class.as_str();
    let is_foreign = layer.module.as_deref().is_some_and(|module| !code::is_keras(module));
    !is_foreign && (FUNCTIONS.contains(&class) || recurrent::CELLS.contains(&class) || lower(layer).is_ok())
}

/// Why those of these layers are not lowered that are not, for their class alone.
pub(super) fn refused(file: &Path, path: &str, layers: &[Layer]) -> Vec<ImportError> {
    let mut found = Vec::new();
    for layer in layers {
        let is_cell = !path.is_empty() && recurrent::CELLS.contains(&layer.class.as_str());
        let path = if path.is_empty() { layer.name.clone() } else { format!("{path}/{}", layer.name) };
        let is_lowered = !is_cell
            && layer.class != "InputLayer"
            && !matches!(layer.inner, Inner::Network(_) | Inner::Mapped { .. } | Inner::Weight);
        if let Some(fault) = is_lowered.then(|| lower(layer).err()).flatten() {
            found.push(ImportError::in_layer(file, &path, &layer.class, fault));
        }
        found.extend(refused(file, &path, layer.inner.layers()));
    }
    found
}

/// The classes that are read: layers, then operations of functional graphs, each sorted.
pub fn supported() -> Vec<(&'static str, Vec<&'static str>)> {
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    let layers = LAYERS.iter().copied().flatten().map(|(class, _)| *class).collect();
    vec![("layers", sorted(layers)), ("operations", sorted(operation::names().collect()))]
}
