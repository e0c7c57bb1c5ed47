//! Layers and operations that no network of Keras has, but the graph of another importer asks for.

use flatpack_format::Shape;
use serde_json::{Map, Value};

use super::inputs;
use super::{Lowering, Options};
use crate::graph::{Graph, TensorId};
use crate::import::Fault;
use crate::import::keras::network::{Arg, Call, Config, Inner, Input, Layer, LayerId, TensorRef, Weight};
use crate::import::keras::version::Dialect;

/// An argument of an operation.
pub(crate) enum Argument {
    Tensor(TensorId),
    Tensors(Vec<TensorId>),
    /// Plain values.
    Value(Value),
    /// What is taken of each axis: first, behind the last, step.
    Ranges(Vec<[Option<i64>; 3]>),
}

/// A layer or operation by its class in Keras 3, with its arguments there.
fn layer(class: &str, is_operation: bool, config: Value, weights: Vec<Weight>) -> Layer {
    let Value::Object(config) = config else { unreachable!("arguments have names") };
    Layer {
        name: String::new(),
        class: class.into(),
        is_operation,
        mapped_class: None,
        module: None,
        registered_name: None,
        config: Config(config),
        inner: Inner::None,
        weights,
    }
}

impl Lowering {
    /// A graph without anything.
    pub(crate) fn foreign(name: &str) -> Self {
        Self::new(name, Dialect::Keras3)
    }

    /// The graph so far, with these outputs.
    pub(crate) fn into_graph(mut self, outputs: Vec<TensorId>) -> Graph {
        self.graph.outputs = outputs;
        self.graph
    }

    /// The shape of an input, where `known` has the extents that are known.
    pub(crate) fn input_shape(
        name: &str,
        known: Option<Vec<Option<usize>>>,
        options: &Options,
    ) -> Result<Shape, Fault> {
        let tensor = TensorRef { layer: LayerId(usize::MAX), node: 0, tensor: 0 };
        let input = Input { tensor, name: name.into(), shape: known, dtype: "float32".into() };
        inputs::input_shape(&input, options)
    }

    /// The operators that follow are of this layer.
    pub(crate) fn enter(&mut self, name: &str, class: &str) {
        self.path = vec![(name.into(), class.into())];
    }

    /// The layer in progress, and its class.
    pub(crate) fn entered(&self) -> Option<(String, String)> {
        self.path.last().cloned()
    }

    /// What a layer gives for one tensor.
    pub(crate) fn foreign_layer(
        &mut self,
        class: &str,
        config: Value,
        weights: Vec<Weight>,
        x: TensorId,
    ) -> Result<TensorId, Fault> {
        let made = self.foreign_layers(class, config, weights, x)?;
        made.first().copied().ok_or_else(|| none_made(class))
    }

    /// All that a layer gives for one tensor.
    pub(crate) fn foreign_layers(
        &mut self,
        class: &str,
        config: Value,
        weights: Vec<Weight>,
        x: TensorId,
    ) -> Result<Vec<TensorId>, Fault> {
        self.foreign_call(&layer(class, false, config, weights), vec![Argument::Tensor(x)])
    }

    /// What an operation gives.
    pub(crate) fn foreign_operation(
        &mut self,
        class: &str,
        args: Vec<Argument>,
        settings: Value,
    ) -> Result<Vec<TensorId>, Fault> {
        self.foreign_call(&layer(class, true, settings, Vec::new()), args)
    }

    /// [`Self::foreign_operation`] of one tensor with one result.
    pub(crate) fn foreign_map(&mut self, class: &str, x: TensorId) -> Result<TensorId, Fault> {
        let made = self.foreign_operation(class, vec![Argument::Tensor(x)], Value::Object(Map::new()))?;
        made.first().copied().ok_or_else(|| none_made(class))
    }

    fn foreign_call(&mut self, layer: &Layer, args: Vec<Argument>) -> Result<Vec<TensorId>, Fault> {
        let id = LayerId(usize::MAX);
        let mut bound = Vec::new();
        let mut bind = |tensor: TensorId| {
            bound.push(tensor);
            Arg::Tensor(TensorRef { layer: id, node: 0, tensor: bound.len() - 1 })
        };
        let number = |value: Option<i64>| Box::new(Arg::Constant(value.map_or(Value::Null, Value::from)));
        let args = args.into_iter().map(|arg| match arg {
            Argument::Tensor(tensor) => bind(tensor),
            Argument::Tensors(tensors) => Arg::List(tensors.into_iter().map(&mut bind).collect()),
            Argument::Value(value) => Arg::Constant(value),
            Argument::Ranges(ranges) => {
                let slice = |[start, stop, step]: [Option<i64>; 3]| Arg::Slice {
                    start: number(start),
                    stop: number(stop),
                    step: number(step),
                };
                Arg::List(ranges.into_iter().map(slice).collect())
            }
        });
        let call = Call { layer: id, node: 0, args: args.collect(), kwargs: Vec::new() };
        let bound = bound
            .into_iter()
            .enumerate()
            .map(|(tensor, made)| (TensorRef { layer: id, node: 0, tensor }, made))
            .collect();
        self.call_bound(layer, &call, bound)
    }
}

fn none_made(class: &str) -> Fault {
    Fault::Unexpected { place: class.into(), found: "no result".into(), expected: "one".into() }
}
