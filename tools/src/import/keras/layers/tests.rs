//! Layers with unusual arguments against what Keras computed: `tests/data/keras_layers/make.py`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::dialect::to_keras3;
use super::super::lower::{Options, lower_network};
use super::super::network::{Arg, Call, Config, Inner, Input, Layer, LayerId, Network, TensorRef, Weight};
use super::super::version::Dialect;
use crate::array::Array;
use crate::graph::Graph;
use crate::reference::Predictor;

#[derive(Deserialize)]
struct Case {
    class: String,
    config: Map<String, Value>,
    weights: Vec<Recorded>,
    input: Recorded,
    output: Recorded,
}

#[derive(Deserialize)]
struct Recorded {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Recorded {
    fn array(&self) -> Array {
        Array::new(self.shape.clone(), self.values.clone())
    }
}

/// A network of one layer.
fn network(class: String, config: Map<String, Value>, weights: Vec<Weight>, shape: &[usize]) -> Network {
    let layer = |name: &str, class: String, config, weights| Layer {
        name: name.into(),
        class,
        is_operation: false,
        mapped_class: None,
        module: None,
        registered_name: None,
        config: Config(config),
        inner: Inner::None,
        weights,
    };
    let x = TensorRef { layer: LayerId(0), node: 0, tensor: 0 };
    let shape = shape.iter().copied().map(Some).collect();
    Network {
        name: "one".into(),
        layers: vec![
            layer("x", "InputLayer".into(), Map::new(), Vec::new()),
            layer("it", class, config, weights),
        ],
        calls: vec![Call { layer: LayerId(1), node: 0, args: vec![Arg::Tensor(x)], kwargs: Vec::new() }],
        inputs: vec![Input { tensor: x, name: "x".into(), shape: Some(shape), dtype: "float32".into() }],
        outputs: vec![TensorRef { layer: LayerId(1), ..x }],
    }
}

fn lowered(dialect: Dialect, case: &Case) -> Graph {
    let (class, config) = to_keras3(dialect, &case.class, case.config.clone()).unwrap();
    let weights = case.weights.iter().map(|weight| Weight::new("w", weight.array())).collect();
    let network = network(class, config, weights, &case.input.shape);
    lower_network(Path::new("case"), dialect, true, &network, &Options::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn compare(dialect: Dialect, recorded: &str) -> usize {
    let mut count = 0;
    for line in recorded.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let what = format!("{} {}", case.class, Value::Object(case.config.clone()));
        let graph = lowered(dialect, &case);
        let values =
            Predictor::new(&graph).unwrap().predict(std::slice::from_ref(&case.input.values)).unwrap();
        let output = graph.outputs[0];
        let dims: Vec<usize> = graph.dims(output).iter().map(|&extent| extent as usize).collect();
        assert_eq!(dims, case.output.shape, "{what}");
        for (at, (computed, expected)) in values[&output].iter().zip(&case.output.values).enumerate() {
            let off = (computed - expected).abs();
            assert!(off <= 1e-5 * expected.abs().max(1.0), "{what}: {computed} for {expected} at {at}");
        }
        count += 1;
    }
    count
}

#[test]
fn layers_of_keras_3_give_what_keras_3_computed() {
    let count = compare(Dialect::Keras3, include_str!("../../../../tests/data/keras_layers/keras3.json"));
    assert!(count > 150);
}

#[test]
fn layers_of_keras_2_give_what_keras_2_computed() {
    let count = compare(Dialect::Keras2, include_str!("../../../../tests/data/keras_layers/keras2.json"));
    assert!(count > 150);
}
