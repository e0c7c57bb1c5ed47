//! Functional models.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::super::arguments::{Arguments, Scope, is_reference};
use super::super::network::{Arg, Inner, Layer, LayerId, Network, TensorRef};
use super::super::version::Dialect;
use super::super::{dialect, operations, order};
use super::{Reader, duplicate, join, unexpected};
use crate::import::{Fault, ImportError};

/// Recurrent layers: a list as first argument is a sequence and the initial states.
const RECURRENT_CLASSES: [&str; 12] = [
    "RNN",
    "SimpleRNN",
    "LSTM",
    "GRU",
    "CuDNNLSTM",
    "CuDNNGRU",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Bidirectional",
    "StackedRNNCells",
    "ConvRNN2D",
];

impl Reader<'_> {
    /// A graph: each layer names the tensors it is called with.
    pub(super) fn functional(
        &self,
        path: &str,
        name: &str,
        config: &Map<String, Value>,
        values: &[Value],
    ) -> Result<Network, ImportError> {
        let mut layers = Vec::with_capacity(values.len());
        let mut ids = HashMap::with_capacity(values.len());
        for (position, value) in values.iter().enumerate() {
            let mut layer = self.layer(path, value, position)?;
            layer.is_operation = self.is_operation(&layer);
            if ids.insert(layer.name.clone(), LayerId(position)).is_some() {
                return Err(self.error(&join(path, &layer.name), &layer.class, duplicate(&layer.name)));
            }
            layers.push(layer);
        }
        let scope = Scope { layers: &ids };
        let mut nodes: Vec<Vec<Arguments>> = Vec::with_capacity(values.len());
        for (layer, value) in layers.iter_mut().zip(values) {
            let (path, class) = (join(path, &layer.name), layer.class.clone());
            let mut calls =
                self.arguments(&scope, layer, value).map_err(|fault| self.error(&path, &class, fault))?;
            if let Err(fault) = operations::to_keras3(layer, &mut calls) {
                self.refuse(&path, &class, fault)?;
            }
            nodes.push(calls);
        }
        let in_model = |fault| self.error(path, "Functional", fault);
        let mut inputs = tensors(&scope, config, "input_layers").map_err(in_model)?;
        let mut outputs = tensors(&scope, config, "output_layers").map_err(in_model)?;
        let in_layer = |layer: LayerId, fault| {
            let layer = &layers[layer.0];
            self.error(&join(path, &layer.name), &layer.class, fault)
        };
        order::renumber(self.dialect, &layers, &mut nodes, inputs.iter_mut().chain(&mut outputs))
            .map_err(|(at, fault)| in_layer(at, fault))?;
        let calls = order::calls(&layers, nodes, &outputs).map_err(|(at, fault)| in_layer(at, fault))?;
        let inputs = inputs
            .into_iter()
            .map(|tensor| self.input(path, &layers[tensor.layer.0], tensor))
            .collect::<Result<_, _>>()?;
        Ok(Network { name: name.to_owned(), layers, calls, inputs, outputs })
    }

    /// Every Keras 3 layer but one stores whether it is trainable; operations have no such thing. (`Cast` has
    /// a dtype, as layers do.)
    fn is_operation(&self, layer: &Layer) -> bool {
        let has_layer_arguments = layer.config.get("trainable").is_some() || layer.class == "Discretization";
        self.dialect == Dialect::Keras3
            && matches!(layer.inner, Inner::None)
            && layer.class != "InputLayer"
            && (layer.module.as_ref().is_some_and(|module| module.starts_with("keras.src.ops"))
                || !has_layer_arguments)
    }

    /// The arguments of each call of `layer`.
    fn arguments(&self, scope: &Scope<'_>, layer: &Layer, value: &Value) -> Result<Vec<Arguments>, Fault> {
        let nodes = match value.get("inbound_nodes") {
            Some(Value::Array(nodes)) => nodes.as_slice(),
            None | Some(Value::Null) => &[],
            Some(other) => return Err(unexpected("`inbound_nodes`", other, "a list")),
        };
        if layer.class == "InputLayer" {
            return Ok(Vec::new());
        }
        let keeps_lists = matches!(layer.class.as_str(), "TFOpLambda" | "SlicingOpLambda");
        let mut calls: Vec<Arguments> =
            nodes.iter().map(|node| scope.call(node, keeps_lists)).collect::<Result<_, _>>()?;
        if RECURRENT_CLASSES.contains(&layer.class.as_str()) {
            for (args, kwargs) in &mut calls {
                name_initial_state(args, kwargs);
            }
        }
        Ok(calls)
    }
}

/// Keras 1 and 2 pass the initial states of a recurrent layer behind its sequence, in one list.
fn name_initial_state(args: &mut Vec<Arg>, kwargs: &mut Vec<(String, Arg)>) {
    if let Some(Arg::List(list)) = args.first_mut() {
        let mut list = std::mem::take(list);
        let states = list.split_off(list.len().min(1));
        args.splice(0..1, list);
        if !states.is_empty() && !kwargs.iter().any(|(key, _)| key == "initial_state") {
            kwargs.push(("initial_state".into(), Arg::List(states)));
        }
    }
}

/// `input_layers` or `output_layers`: one reference, or lists or objects of them.
fn tensors(scope: &Scope<'_>, config: &Map<String, Value>, key: &str) -> Result<Vec<TensorRef>, Fault> {
    fn collect(scope: &Scope<'_>, value: &Value, found: &mut Vec<TensorRef>) -> Result<(), Fault> {
        match value {
            Value::Array(items) if is_reference(items) => found.push(scope.tensor(value)?),
            Value::Array(items) => items.iter().try_for_each(|item| collect(scope, item, found))?,
            Value::Object(map) if map.contains_key("class_name") => {
                let mut list = value.clone();
                dialect::unwrap_containers(&mut list);
                match list {
                    Value::Array(_) => collect(scope, &list, found)?,
                    other => {
                        return Err(unexpected(
                            "the model's inputs or outputs",
                            &other,
                            "references to layers",
                        ));
                    }
                }
            }
            Value::Object(map) => {
                // Keras flattens dictionaries in the order of their sorted keys.
                let mut keys: Vec<_> = map.iter().collect();
                keys.sort_by_key(|(key, _)| key.as_str());
                keys.into_iter().try_for_each(|(_, item)| collect(scope, item, found))?;
            }
            other => {
                return Err(unexpected("the model's inputs or outputs", other, "references to layers"));
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    collect(scope, config.get(key).unwrap_or(&Value::Null), &mut found)?;
    if found.is_empty() {
        return Err(unexpected(&format!("`{key}`"), &json!([]), "at least one"));
    }
    Ok(found)
}
