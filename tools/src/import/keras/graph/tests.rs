//! One small model in each dialect.

use serde_json::json;

use super::super::network::{Arg, Call, LayerId};
use super::*;

fn read(dialect: Dialect, config: Value) -> Result<Network, ImportError> {
    network(Path::new("model.h5"), dialect, &config, None).map(|(network, _)| network)
}

fn tensor(layer: usize, node: usize) -> TensorRef {
    TensorRef { layer: LayerId(layer), node, tensor: 0 }
}

fn arg(layer: usize, node: usize) -> Arg {
    Arg::Tensor(tensor(layer, node))
}

fn call(layer: usize, node: usize, args: Vec<Arg>) -> Call {
    Call { layer: LayerId(layer), node, args, kwargs: vec![] }
}

/// `class name` of each layer.
fn layers(network: &Network) -> Vec<String> {
    network.layers.iter().map(|layer| format!("{} {}", layer.class, layer.name)).collect()
}

fn keras3_tensor(name: &str, node: usize) -> Value {
    json!({"class_name": "__keras_tensor__",
           "config": {"shape": [null, 4], "dtype": "float32", "keras_history": [name, node, 0]}})
}

#[test]
fn a_keras_1_sequential_model_is_a_list_without_an_input_layer() {
    let network = read(
        Dialect::Keras1,
        json!({"class_name": "Sequential", "config": [
            {"class_name": "Convolution2D", "config": {
                "name": "conv", "nb_filter": 2, "nb_row": 3, "nb_col": 3, "border_mode": "same",
                "batch_input_shape": [null, 8, 8, 1], "input_dtype": "float32"}},
            {"class_name": "Flatten", "config": {"name": "flat"}},
        ]}),
    )
    .unwrap();
    assert_eq!(layers(&network), ["InputLayer conv_input", "Conv2D conv", "Flatten flat"]);
    assert_eq!(network.inputs[0].shape, Some(vec![None, Some(8), Some(8), Some(1)]));
    assert_eq!(network.calls, [call(1, 0, vec![arg(0, 0)]), call(2, 0, vec![arg(1, 0)])]);
    assert_eq!(network.outputs, [tensor(2, 0)]);
}

#[test]
fn a_sequential_model_takes_its_shape_from_how_it_was_built_or_from_a_model_in_front() {
    let built = read(
        Dialect::Keras3,
        json!({"class_name": "Sequential", "config": {"name": "s", "build_input_shape": [null, 5], "layers": [
            {"class_name": "Dense", "config": {"name": "d", "units": 1, "trainable": true}}]}}),
    )
    .unwrap();
    assert_eq!(built.inputs[0].shape, Some(vec![None, Some(5)]));

    let in_front = read(
        Dialect::Keras2,
        json!({"class_name": "Sequential", "config": [
            {"class_name": "Sequential", "config": [
                {"class_name": "Embedding", "config": {
                    "name": "e", "input_dim": 9, "output_dim": 2, "batch_input_shape": [null, 7]}}]},
            {"class_name": "Dense", "config": {"name": "d", "units": 1}}]}),
    )
    .unwrap();
    assert_eq!(layers(&in_front), ["InputLayer sequential_0_input", "Sequential sequential_0", "Dense d"]);
    assert_eq!(in_front.inputs[0].shape, Some(vec![None, Some(7)]));
}

#[test]
fn a_shared_layer_is_one_layer_with_several_calls() {
    let input = |name| {
        json!({"class_name": "InputLayer", "name": name, "inbound_nodes": [],
                              "config": {"name": name, "batch_input_shape": [null, 3], "dtype": "float32"}})
    };
    let network = read(
        Dialect::Keras2,
        json!({"class_name": "Model", "config": {"name": "m", "layers": [
            input("a"), input("b"),
            {"class_name": "Dense", "name": "d", "config": {"name": "d", "units": 2},
             "inbound_nodes": [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]},
            {"class_name": "Concatenate", "name": "c", "config": {"name": "c", "axis": -1},
             "inbound_nodes": [[["d", 1, 0, {}], ["d", 0, 0, {}]]]},
        ], "input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["c", 0, 0], ["d", 1, 0]]}}),
    )
    .unwrap();
    assert_eq!(
        network.calls,
        [
            call(2, 0, vec![arg(0, 0)]),
            call(2, 1, vec![arg(1, 0)]),
            call(3, 0, vec![Arg::List(vec![arg(2, 1), arg(2, 0)])]),
        ]
    );
    assert_eq!(network.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(network.outputs, [tensor(3, 0), tensor(2, 1)]);
}

/// A Functional model with a nested one called twice, whose calls count from `first`.
fn nested(first: usize) -> Value {
    let input = |name| {
        json!({"class_name": "InputLayer", "name": name, "inbound_nodes": [],
                              "config": {"name": name, "batch_input_shape": [null, 3], "dtype": "float32"}})
    };
    json!({"class_name": "Functional", "config": {"name": "outer", "layers": [
        input("x"),
        {"class_name": "Functional", "name": "inner",
         "inbound_nodes": [[["x", 0, 0, {}]], [["inner", first, 0, {}]]],
         "config": {"name": "inner", "layers": [
            input("y"),
            {"class_name": "ReLU", "name": "r", "config": {"name": "r"}, "inbound_nodes": [[["y", 0, 0, {}]]]}],
            "input_layers": [["y", 0, 0]], "output_layers": [["r", 0, 0]]}},
    ], "input_layers": [["x", 0, 0]], "output_layers": [["inner", first + 1, 0]]}})
}

#[test]
fn calls_of_a_nested_model_count_from_zero_or_from_one_in_the_file() {
    for first in [0, 1] {
        let network = read(Dialect::Keras2, nested(first)).unwrap();
        assert_eq!(network.calls, [call(1, 0, vec![arg(0, 0)]), call(1, 1, vec![arg(1, 0)])], "{first}");
        assert_eq!(network.outputs, [tensor(1, 1)]);
        let Inner::Network(inner) = &network.layers[1].inner else { panic!("not nested") };
        assert_eq!(layers(inner), ["InputLayer y", "ReLU r"]);
    }
}

#[test]
fn keras_3_writes_single_ends_without_a_list_and_operations_without_arguments() {
    let network = read(
        Dialect::Keras3,
        json!({"class_name": "Functional", "config": {"name": "m", "layers": [
            {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
             "config": {"name": "x", "batch_shape": [null, 4], "dtype": "float32"}},
            {"class_name": "Multiply", "name": "multiply", "config": {"name": "multiply"},
             "inbound_nodes": [{"args": [keras3_tensor("x", 0), 2.0], "kwargs": {}}]},
            {"class_name": "Multiply", "name": "multiply_1",
             "config": {"name": "multiply_1", "trainable": true, "dtype": {"module": "keras",
                "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": null}},
             "inbound_nodes": [{"args": [[keras3_tensor("x", 0), keras3_tensor("multiply", 0)]], "kwargs": {"mask": null}}]},
        ], "input_layers": ["x", 0, 0], "output_layers": ["multiply_1", 0, 0]}}),
    )
    .unwrap();
    assert_eq!(
        network.calls,
        [
            call(1, 0, vec![arg(0, 0), Arg::Constant(json!(2.0))]),
            call(2, 0, vec![Arg::List(vec![arg(0, 0), arg(1, 0)])]),
        ]
    );
    assert_eq!(
        network.layers.iter().map(|layer| layer.is_operation).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(network.layers[2].config.str("dtype").unwrap(), "float32");
}

#[test]
fn calls_come_behind_what_they_need_and_only_if_an_output_needs_them() {
    let layer = |name: &str, from: &str| json!({"class_name": "ReLU", "name": name, "config": {"name": name}, "inbound_nodes": [[[from, 0, 0, {}]]]});
    let model = |output: &str, first: &str| {
        json!({"class_name": "Functional", "config": {"name": "m", "layers": [
            layer("last", "middle"), layer("unused", "x"), layer("middle", "first"), layer("first", first),
            {"class_name": "InputLayer", "name": "x", "config": {"batch_input_shape": [null, 3]}},
        ], "input_layers": [["x", 0, 0]], "output_layers": [[output, 0, 0]]}})
    };
    let order = |network: Network| network.calls.iter().map(|call| call.layer.0).collect::<Vec<_>>();
    assert_eq!(order(read(Dialect::Keras2, model("last", "x")).unwrap()), [3, 2, 0]);
    let error = read(Dialect::Keras2, model("last", "last")).unwrap_err();
    assert!(error.to_string().contains("cycles"), "{error}");
}

#[test]
fn a_wrapper_holds_its_layers_and_bidirectional_both_directions() {
    let network = read(
        Dialect::Keras2,
        json!({"class_name": "Sequential", "config": {"name": "s", "layers": [
            {"class_name": "Bidirectional", "config": {"name": "b", "merge_mode": "concat",
                "batch_input_shape": [null, 5, 3],
                "layer": {"class_name": "GRU", "config": {"name": "g", "units": 2, "go_backwards": false}}}},
            {"class_name": "TimeDistributed", "config": {"name": "t",
                "layer": {"class_name": "Dense", "config": {"name": "d", "units": 2}}}},
        ]}}),
    )
    .unwrap();
    let inner = |at: usize| match &network.layers[at].inner {
        Inner::Layers(layers) => layers.as_slice(),
        other => panic!("{other:?}"),
    };
    let names = |at: usize| inner(at).iter().map(|layer| layer.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(1), ["forward_g", "backward_g"]);
    assert_eq!(
        inner(1).iter().map(|layer| layer.config.bool_or("go_backwards", false).unwrap()).collect::<Vec<_>>(),
        [false, true]
    );
    assert!(network.layers[1].config.get("layer").is_none());
    assert_eq!(names(2), ["d"]);
}

#[test]
fn initial_states_are_a_keyword_argument_in_every_dialect() {
    let input =
        |name| json!({"class_name": "InputLayer", "name": name, "config": {"batch_input_shape": [null, 3]}});
    let network = read(
        Dialect::Keras2,
        json!({"class_name": "Functional", "config": {"name": "m", "layers": [
            input("x"), input("h"), input("c"),
            {"class_name": "LSTM", "name": "l", "config": {"name": "l", "units": 3},
             "inbound_nodes": [[["x", 0, 0, {}], ["h", 0, 0, {}], ["c", 0, 0, {}]]]},
        ], "input_layers": [["x", 0, 0], ["h", 0, 0], ["c", 0, 0]], "output_layers": [["l", 0, 0]]}}),
    )
    .unwrap();
    assert_eq!(network.calls[0].args, [arg(0, 0)]);
    assert_eq!(network.calls[0].kwarg("initial_state"), Some(&Arg::List(vec![arg(1, 0), arg(2, 0)])));
}

#[test]
fn models_of_one_s_own_class_are_refused_with_advice() {
    let own = read(Dialect::Keras3, json!({"class_name": "MyModel", "config": {"layers": []}})).unwrap_err();
    assert!(own.to_string().contains("MyModel") && own.fault.remedy().is_some(), "{own}");
    let subclassed = read(Dialect::Keras2, json!({"class_name": "Model", "config": {}})).unwrap_err();
    assert!(subclassed.to_string().contains("subclassed"), "{subclassed}");
}

#[test]
fn faults_name_the_layer_they_are_in() {
    let error = read(
        Dialect::Keras2,
        json!({"class_name": "Sequential", "config": {"name": "s", "layers": [
            {"class_name": "Sequential", "config": {"name": "block", "layers": [
                {"class_name": "Dense", "config": {"name": "d"}},
                {"class_name": "Dense", "config": ["nothing"]}]}}]}}),
    )
    .unwrap_err();
    let layer = error.layer.as_deref().unwrap();
    assert_eq!((layer.path.as_str(), layer.class.as_str()), ("block/dense_1", "Dense"));
}

#[test]
fn models_inside_models_are_read_as_deep_as_json_may_go() {
    let dense = json!({"class_name": "Dense", "config": {"name": "d", "units": 1}});
    let nest =
        |inner: Value, _| json!({"class_name": "Sequential", "config": {"name": "s", "layers": [inner]}});
    let model = (0..40).fold(dense, nest);
    assert!(serde_json::from_str::<Value>(&model.to_string()).is_ok());
    let mut network = &read(Dialect::Keras2, model).unwrap();
    let mut depth = 1;
    while let Some(Inner::Network(inner)) = network.layers.get(1).map(|layer| &layer.inner) {
        network = inner;
        depth += 1;
    }
    assert_eq!(depth, 40);
}

#[test]
fn bidirectional_in_bidirectional_is_refused_before_it_grows() {
    let gru = json!({"class_name": "GRU", "config": {"name": "g", "units": 1}});
    let wrap = |inner: Value, _| json!({"class_name": "Bidirectional", "config": {"name": "b", "merge_mode": "sum", "layer": inner}});
    let layer = (0..50).fold(gru, wrap);
    let error = read(Dialect::Keras2, json!({"class_name": "Sequential", "config": [layer]})).unwrap_err();
    assert!(error.to_string().contains("Bidirectional layer inside"), "{error}");
}

#[test]
fn a_layer_s_name_of_half_a_kilobyte_is_the_longest() {
    let named = |len: usize| {
        let flat = json!({"class_name": "Flatten", "config": {"name": "n".repeat(len)}});
        read(Dialect::Keras2, json!({"class_name": "Sequential", "config": [flat]}))
    };
    assert!(named(512).is_ok());
    let error = named(513).unwrap_err().to_string();
    assert!(error.contains("name in bytes is 513, the limit is 512"), "{error}");
}
