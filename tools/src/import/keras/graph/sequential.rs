//! Sequential models.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::super::dialect;
use super::super::network::{Arg, Call, Config, Inner, Layer, LayerId, Network, TensorRef};
use super::{Reader, duplicate, join, unexpected};
use crate::import::{Fault, ImportError};

impl Reader<'_> {
    /// A chain: each layer takes what the one before it gave.
    pub(super) fn sequential(
        &self,
        path: &str,
        name: &str,
        config: &Value,
        values: &[Value],
    ) -> Result<Network, ImportError> {
        let mut layers: Vec<Layer> = Vec::new();
        let mut calls: Vec<Call> = Vec::new();
        let mut previous: Option<TensorRef> = None;
        let mut input = None;
        // Positions and numbers of calls.
        let mut known: HashMap<String, (usize, usize)> = HashMap::new();
        for (position, value) in values.iter().enumerate() {
            let layer = self.layer(path, value, position)?;
            if position == 0 && layer.class != "InputLayer" {
                let input_layer = input_of(config, value, &layer);
                previous = Some(TensorRef { layer: LayerId(0), node: 0, tensor: 0 });
                input = Some(input_layer.clone());
                layers.push(input_layer);
            }
            if layer.class == "InputLayer" {
                if position != 0 {
                    let fault = Fault::Unexpected {
                        place: format!("layer {position} of a Sequential model"),
                        found: "an InputLayer".into(),
                        expected: "an InputLayer only in front".into(),
                    };
                    return Err(self.error(&join(path, &layer.name), "InputLayer", fault));
                }
                previous = Some(TensorRef { layer: LayerId(0), node: 0, tensor: 0 });
                input = Some(layer.clone());
                layers.push(layer);
                continue;
            }
            // A layer may stand in the chain twice, with the same weights.
            let (id, call_count) = match known.get_mut(&layer.name) {
                Some((at, count))
                    if layers[*at].class == layer.class && layers[*at].config == layer.config =>
                {
                    (*at, count)
                }
                Some(_) => {
                    return Err(self.error(&join(path, &layer.name), &layer.class, duplicate(&layer.name)));
                }
                None => {
                    let entry = known.entry(layer.name.clone()).or_insert((layers.len(), 0));
                    layers.push(layer);
                    (entry.0, &mut entry.1)
                }
            };
            let node = *call_count;
            *call_count += 1;
            calls.push(Call {
                layer: LayerId(id),
                node,
                args: previous.map(Arg::Tensor).into_iter().collect(),
                kwargs: Vec::new(),
            });
            previous = Some(TensorRef { layer: LayerId(id), node, tensor: 0 });
        }
        let (Some(input), Some(output)) = (input, previous) else {
            return Err(self.error(
                path,
                "Sequential",
                unexpected("`layers`", &json!([]), "at least one layer"),
            ));
        };
        let input = self.input(path, &input, TensorRef { layer: LayerId(0), node: 0, tensor: 0 })?;
        Ok(Network { name: name.to_owned(), layers, calls, inputs: vec![input], outputs: vec![output] })
    }
}

/// The input layer that a Sequential model without one has all the same. Its shape is the first
/// layer's `batch_input_shape`, the shape the model was built with, or what a model in front takes.
fn input_of(model_config: &Value, first_value: &Value, first: &Layer) -> Layer {
    let mut config = Map::new();
    let nested = match &first.inner {
        Inner::Network(network) => network.inputs.first(),
        _ => None,
    };
    let raw = |pointer: &str| first_value.pointer(pointer).filter(|value| value.is_array()).cloned();
    let shape = raw("/config/batch_input_shape")
        .or_else(|| raw("/config/batch_shape"))
        .or_else(|| model_config.get("build_input_shape").filter(|shape| shape.is_array()).cloned())
        .or_else(|| raw("/build_config/input_shape"))
        .or_else(|| nested.and_then(|input| input.shape.as_ref()).map(|shape| json!(shape)));
    if let Some(mut shape) = shape {
        dialect::unwrap_containers(&mut shape);
        config.insert("batch_shape".into(), shape);
    }
    let dtype = match (nested, first.config.get("input_dtype")) {
        (Some(input), _) => json!(input.dtype),
        (None, Some(dtype)) => dtype.clone(),
        (None, None) => json!("float32"),
    };
    config.insert("dtype".into(), dtype);
    Layer {
        name: format!("{}_input", first.name),
        class: "InputLayer".into(),
        is_operation: false,
        mapped_class: None,
        module: None,
        registered_name: None,
        config: Config(config),
        inner: Inner::None,
        weights: Vec::new(),
    }
}
