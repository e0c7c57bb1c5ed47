use std::path::Path;
use std::sync::Arc;

use flatpack_format::OpCode;
use serde_json::{Value, json};

use super::super::network::{Config, Weight};
use super::*;

/// A layer without weights.
fn layer(name: &str, class: &str, config: Value) -> Layer {
    let Value::Object(map) = config else { panic!("not an object") };
    Layer {
        name: name.into(),
        class: class.into(),
        is_operation: false,
        mapped_class: None,
        module: None,
        registered_name: None,
        config: Config(map),
        inner: Inner::None,
        weights: Vec::new(),
    }
}

/// A `Dense` layer of 2 inputs and 2 units.
fn dense(name: &str) -> Layer {
    let weight = |name: &str, array| Weight { name: name.into(), array: Arc::new(array) };
    Layer {
        weights: vec![
            weight("kernel", Array::new([2, 2], vec![1.0, 2.0, 3.0, 4.0])),
            weight("bias", Array::new([2], vec![0.0, 1.0])),
        ],
        ..layer(name, "Dense", json!({"units": 2}))
    }
}

/// A network that applies these layers one after the other, a layer of the same name once.
fn chain(shape: Option<Vec<Option<usize>>>, layers: Vec<Layer>) -> Network {
    let mut network = Network {
        name: "chain".into(),
        layers: vec![layer("x", "InputLayer", json!({}))],
        calls: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    let mut last = TensorRef { layer: LayerId(0), node: 0, tensor: 0 };
    network.inputs.push(Input { tensor: last, name: "x".into(), shape, dtype: "float32".into() });
    for layer in layers {
        let known = network.layers.iter().position(|known| known.name == layer.name);
        let id = LayerId(known.unwrap_or(network.layers.len()));
        if known.is_none() {
            network.layers.push(layer);
        }
        let node = network.calls.iter().filter(|call| call.layer == id).count();
        network.calls.push(Call { layer: id, node, args: vec![Arg::Tensor(last)], kwargs: Vec::new() });
        last = TensorRef { layer: id, node, tensor: 0 };
    }
    network.outputs.push(last);
    network
}

fn lowered(network: &Network, options: &Options) -> Result<Graph, ImportError> {
    lower_network(Path::new("m.h5"), Dialect::Keras3, true, network, options)
}

fn built(network: &Network) -> Result<Graph, String> {
    lowered(network, &Options::default()).map_err(|error| error.to_string())
}

const PAIR: [Option<usize>; 2] = [None, Some(2)];

#[test]
fn a_shared_layer_is_lowered_twice_over_the_same_constants() {
    let graph = built(&chain(Some(PAIR.into()), vec![dense("d"), dense("d")])).unwrap();
    assert_eq!(graph.nodes.len(), 2);
    assert_eq!(graph.nodes[0].inputs[1..], graph.nodes[1].inputs[1..]);
    assert_eq!(graph.nodes[1].inputs[0], graph.nodes[0].output);
    assert_eq!(graph.dims(graph.inputs[0]), [1, 2]);
    assert_eq!(graph.data(graph.nodes[0].inputs[1]).unwrap()[..], [1.0, 3.0, 2.0, 4.0]);
}

#[test]
fn layers_of_a_nested_model_are_named_by_their_path() {
    let inside = chain(None, vec![dense("d")]);
    let nested = Layer { inner: Inner::Network(Box::new(inside)), ..layer("block", "Functional", json!({})) };
    let graph = built(&chain(Some(PAIR.into()), vec![nested])).unwrap();
    assert_eq!(graph.nodes[0].layer, "block/d");
    assert_eq!(graph.outputs, [graph.nodes[0].output]);
}

#[test]
fn models_nested_without_end_are_refused() {
    let mut network = chain(None, vec![dense("d")]);
    for _ in 0..40 {
        let inner = Inner::Network(Box::new(network));
        network = chain(Some(PAIR.into()), vec![Layer { inner, ..layer("m", "Functional", json!({})) }]);
    }
    assert!(built(&network).unwrap_err().contains("the nesting of models is 33, the limit is 32"));
}

#[test]
fn models_that_call_models_twice_again_and_again_are_refused() {
    let mut network = chain(Some(PAIR.into()), vec![dense("d")]);
    for _ in 0..30 {
        let inner = Inner::Network(Box::new(network));
        let twice = Layer { inner, ..layer("m", "Functional", json!({})) };
        network = chain(Some(PAIR.into()), vec![twice.clone(), twice]);
    }
    assert!(built(&network).unwrap_err().contains("the number of layer calls is 16385, the limit is 16384"));
}

#[test]
fn splitting_into_very_many_parts_is_refused() {
    let split = |class: &str, config: Value| {
        let operation = Layer { is_operation: true, ..layer("s", class, config) };
        built(&chain(Some(vec![Some(1), Some(1 << 29)]), vec![operation])).unwrap_err()
    };
    let limit = "the number of operators is 536870912, the limit is 65536";
    let error = split("Unstack", json!({"axis": 1}));
    assert!(error.contains(limit), "{error}");
    let error = split("Split", json!({"axis": 1, "indices_or_sections": 1 << 29}));
    assert!(error.contains(limit), "{error}");
    let error = split("Split", json!({"axis": 1, "indices_or_sections": [i64::MAX, i64::MIN]}));
    assert!(error.contains("parts that make up 536870912"), "{error}");
}

#[test]
fn weights_of_another_shape_are_refused_with_both_shapes() {
    let wide = chain(Some(vec![None, Some(3)]), vec![dense("d")]);
    assert_eq!(
        built(&wide).unwrap_err(),
        "m.h5: layer `d` (Dense): weights: found `kernel` of shape [2, 2], expected a kernel of shape [3, 2]"
    );
    let unbiased = Layer { config: dense("d").config, ..layer("d", "Dense", json!({})) };
    let missing = built(&chain(Some(PAIR.into()), vec![unbiased])).unwrap_err();
    assert!(missing.contains("found 0 arrays, expected a kernel as array 1"), "{missing}");
}

#[test]
fn refusals_name_the_layer_and_say_what_to_do() {
    let refusal = |layer: Layer| {
        let network = chain(Some(PAIR.into()), vec![layer]);
        let error = lowered(&network, &Options::default()).unwrap_err();
        (error.to_string(), error.fault.remedy().unwrap().to_owned())
    };
    let (error, remedy) = refusal(layer("scale", "Lambda", json!({})));
    assert_eq!(error, "m.h5: layer `scale` (Lambda): refused: it is Python code; nothing was run");
    assert!(remedy.contains("Rescaling"));
    let (error, _) = refusal(layer("l", "SeparableConv3D", json!({})));
    assert!(
        error.contains("the layer SeparableConv3D of Keras in this version of flatpack is not supported"),
        "{error}"
    );
    let (error, remedy) = refusal(layer("mine", "MyLayer", json!({})));
    assert!(error.contains("the custom layer `MyLayer`"), "{error}");
    assert!(remedy.contains("say by `--map` which of Keras' layers compute it"));
    let registered = Layer { registered_name: Some("my>Dense".into()), ..dense("d") };
    assert!(refusal(registered).0.contains("the custom layer `my>Dense`"));
    let (error, remedy) = refusal(layer("a", "Activation", json!({"activation": "<lambda>"})));
    assert!(error.contains("the activation function `<lambda>` is not supported"), "{error}");
    assert!(remedy.contains("never runs"));
}

#[test]
fn a_stack_of_no_cells_is_refused() {
    let mut stack = layer("cells", "StackedRNNCells", json!({}));
    stack.inner = Inner::Layers(Vec::new());
    let mut rnn = layer("rnn", "RNN", json!({}));
    rnn.inner = Inner::Layers(vec![stack]);
    let error = lowered(&chain(Some(PAIR.into()), vec![rnn]), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("a recurrent layer of the cell `StackedRNNCells`"), "{error}");
}

/// A `ConvLSTM1D` of one filter and a kernel of 2, on one channel.
fn conv_lstm(arguments: Value) -> Layer {
    let weight = |name: &str, shape: &[usize]| {
        let array = Array::new(shape, vec![0.5; shape.iter().product()]);
        Weight { name: name.into(), array: Arc::new(array) }
    };
    let mut layer = layer("l", "ConvLSTM1D", json!({"filters": 1, "kernel_size": 2, "use_bias": false}));
    let Value::Object(arguments) = arguments else { panic!("not an object") };
    layer.config.0.extend(arguments);
    layer.weights = vec![weight("kernel", &[2, 1, 4]), weight("recurrent", &[2, 1, 4])];
    layer
}

#[test]
fn conv_lstms_that_make_no_sense_are_refused() {
    let of = |shape: &[usize], layer: Layer| {
        let shape = shape.iter().map(|&extent| Some(extent)).collect();
        built(&chain(Some(shape), vec![layer])).map(|graph| graph.dims(graph.outputs[0]).to_vec())
    };
    assert_eq!(of(&[1, 3, 4, 1], conv_lstm(json!({}))), Ok(vec![1, 3, 1]));
    let in_time = json!({"return_sequences": true, "stateful": true, "padding": "same"});
    assert_eq!(of(&[1, 3, 4, 1], conv_lstm(in_time)), Ok(vec![1, 3, 4, 1]));
    let along_channels = json!({"data_format": "channels_first", "activation": "softmax"});
    let hollow = |shape: [usize; 3]| Weight { name: "w".into(), array: Arc::new(Array::new(shape, vec![])) };
    let hollow =
        Layer { weights: vec![hollow([2, 1, 0]), hollow([2, 0, 0])], ..conv_lstm(json!({"filters": 0})) };
    for (shape, layer, reason) in [
        (vec![1, 3, 4, 1, 1], conv_lstm(json!({})), "batch, time steps, channels and 1 more axes"),
        (vec![1, 4, 1], conv_lstm(json!({})), "batch, time steps, channels and 1 more axes"),
        (vec![1, 3, 4, 2], conv_lstm(json!({})), "expected a kernel of shape [2, 2, 4]"),
        (vec![1, 3, 4, 1], conv_lstm(json!({"use_bias": true})), "expected a bias as array 3"),
        (
            vec![1, 3, 4, 1],
            conv_lstm(json!({"filters": u32::MAX})),
            "expected a kernel of shape [2, 1, 4294967295]",
        ),
        (vec![1, 3, 4, 1], conv_lstm(json!({"filters": 2})), "expected a kernel of shape [2, 1, 8]"),
        (vec![1, 3, 4, 1], hollow, "operator conv_2d"),
        (vec![1, 3, 1, 1], conv_lstm(json!({})), "operator conv_2d"),
        (vec![1, 3, 4, 1], conv_lstm(json!({"strides": 0})), "sizes from 1"),
        (vec![1, 3, 1, 4], conv_lstm(along_channels), "an `activation` along the last axis"),
        (vec![1, 1 << 20, 4, 1], conv_lstm(json!({})), "a sequence of 1048576 images"),
    ] {
        let error = of(&shape, layer).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    // As many samples as the mask has, but other columns.
    let mut network = chain(Some(vec![Some(1), Some(3), Some(4), Some(1)]), vec![conv_lstm(json!({}))]);
    let input = network.inputs[0].tensor;
    network.calls[0].kwargs = vec![("mask".into(), Arg::Tensor(input))];
    assert!(built(&network).unwrap_err().contains("one that broadcasts to [1, 3, 1]"));
    let other = TensorRef { layer: LayerId(2), ..input };
    network.layers.push(layer("m", "InputLayer", json!({})));
    network.calls[0].kwargs = vec![("mask".into(), Arg::Tensor(other))];
    for shape in [vec![1], vec![1, 2], vec![2, 3]] {
        let shape = Some(shape.into_iter().map(Some).collect());
        network.inputs.truncate(1);
        network.inputs.push(Input { tensor: other, name: "m".into(), shape, dtype: "float32".into() });
        assert!(built(&network).unwrap_err().contains("one for 1 samples and 3 time steps"));
    }
    network.calls[0].kwargs = vec![("initial_state".into(), Arg::Tensor(input))];
    assert!(built(&network).unwrap_err().contains("2: one for each state"));
}

#[test]
fn an_lstm_of_more_units_than_there_are_numbers_is_refused() {
    let kernel = Weight { name: "kernel".into(), array: Arc::new(Array::new([1, 4], vec![0.5; 4])) };
    let lstm = Layer { weights: vec![kernel], ..layer("l", "LSTM", json!({"units": 1u32 << 30})) };
    let error = built(&chain(Some([None, Some(3), Some(1)].into()), vec![lstm])).unwrap_err();
    assert!(
        error.contains("found `kernel` of shape [1, 4], expected a kernel of shape [1, 4294967295]"),
        "{error}"
    );
}

#[test]
fn kernels_of_their_own_that_do_not_fit_are_refused() {
    let of = |arguments: Value, kernel: &[usize]| {
        let mut layer =
            layer("l", "LocallyConnected1D", json!({"filters": 2, "kernel_size": 2, "use_bias": false}));
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        layer.config.0.extend(arguments);
        let array = Array::new(kernel, vec![0.5; kernel.iter().product()]);
        layer.weights = vec![Weight { name: "kernel".into(), array: Arc::new(array) }];
        built(&chain(Some(vec![None, Some(4), Some(3)]), vec![layer]))
            .map(|graph| graph.dims(graph.outputs[0]).to_vec())
    };
    assert_eq!(of(json!({}), &[3, 6, 2]), Ok(vec![1, 3, 2]));
    let sparse = json!({"implementation": 3, "padding": "same"});
    assert_eq!(of(sparse.clone(), &[42]), Ok(vec![1, 4, 2]));
    for (arguments, kernel, reason) in [
        (json!({}), vec![3, 6, 1], "expected a kernel of shape [3, 6, 2]"),
        (json!({"implementation": 2}), vec![3, 6, 2], "expected a kernel of shape [4, 3, 3, 2]"),
        (sparse.clone(), vec![41], "a weight for each input that an output sees"),
        (sparse.clone(), vec![0], "a weight for each input that an output sees"),
        (sparse, vec![1, 48], "a weight for each input that an output sees"),
        (json!({"implementation": 4}), vec![3, 6, 2], "expected 1, 2 or 3"),
        (json!({"filters": 0}), vec![3, 6, 0], "expected filters"),
        (json!({"filters": u32::MAX}), vec![3, 6, 2], "a tensor of shape"),
        (json!({"kernel_size": 5}), vec![0, 15, 2], "a window that fits into [4]"),
        (json!({"kernel_size": 65536, "padding": "same"}), vec![1], "a window that fits into [4]"),
        (json!({"dilation_rate": 2}), vec![3, 6, 2], "a window that fits into [4]"),
        (json!({"strides": 0}), vec![3, 6, 2], "sizes from 1"),
    ] {
        let error = of(arguments, &kernel).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn what_no_operator_computes_is_refused_with_the_reason() {
    let lookup = json!({"vocabulary": [1, 2], "num_oov_indices": 2, "oov_method": "md5"});
    for (class, config, reason) in [
        ("HashedCrossing", json!({"num_bins": 3}), "hashes several values together"),
        ("Hashing", json!({"num_bins": 0}), "a parameter is outside of its domain"),
        ("Hashing", json!({"num_bins": 16777217}), "16777217 bins, not all of which are a float32"),
        ("Hashing", json!({"num_bins": 3, "salt": [1, 2, 3]}), "one integer or two"),
        ("Hashing", json!({"num_bins": 3, "salt": []}), "one integer or two"),
        ("Hashing", json!({"num_bins": 3, "mask_value": "[MASK]"}), "expected an integer"),
        (
            "Hashing",
            json!({"num_bins": 3, "mask_value": i64::MIN}),
            "-9223372036854775808, which is no float32",
        ),
        ("TextVectorization", json!({}), "takes text"),
        ("IntegerLookup", lookup, "the method \"md5\" for unknown integers"),
        (
            "IntegerLookup",
            json!({"vocabulary": null}),
            "a vocabulary that the layer learned from data and that is not in the file",
        ),
        ("IntegerLookup", json!({"vocabulary": "http://host/tokens"}), "a vocabulary in a file of its own"),
        ("IntegerLookup", json!({"vocabulary": [16777217]}), "the integer 16777217, which is no float32"),
        ("IntegerLookup", json!({"vocabulary": [1], "output_mode": "tf_idf"}), "the output mode \"tf_idf\""),
        ("Discretization", json!({"num_bins": 3}), "boundaries that the layer learned from data"),
        (
            "STFTSpectrogram",
            json!({"mode": "angle", "frame_length": 1, "frame_step": 1}),
            "batch, samples and channels",
        ),
    ] {
        let error = built(&chain(Some(PAIR.into()), vec![layer("it", class, config)])).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn equations_that_say_nothing_are_refused() {
    let refusal = |equation: &str| {
        let einsum = Layer { is_operation: true, ..layer("it", "Einsum", json!({"subscripts": equation})) };
        built(&chain(Some(PAIR.into()), vec![einsum])).map(|graph| graph.dims(graph.outputs[0]).to_vec())
    };
    assert_eq!(refusal("ab->ba"), Ok(vec![2, 1]));
    assert_eq!(refusal("...b -> b..."), Ok(vec![2, 1]));
    assert_eq!(refusal("ba"), Ok(vec![2, 1]));
    for (equation, reason) in [
        ("aa->a", "a label that is twice in one operand"),
        ("ab->aa", "a label that is twice in one operand"),
        ("ab->ac", "a result of labels that operands have"),
        ("ab,bc->ac", "one for 1 operands"),
        ("abc->a", "a label for each axis"),
        ("a1->a", "letters as labels"),
        ("abc...->a", "a label for each axis"),
        ("......->...", "a label for each axis"),
        ("ü->", "letters as labels"),
    ] {
        let error = refusal(equation).unwrap_err();
        assert!(error.contains(reason), "{equation}: {error}");
    }
}

#[test]
fn operations_that_are_not_read_are_refused_by_the_name_they_have_in_python() {
    let refusal = |class: &str, config: Value, kwargs: Vec<(String, Arg)>| {
        let operation = Layer { is_operation: true, ..layer("it", class, config) };
        let mut network = chain(Some(PAIR.into()), vec![operation]);
        network.calls[0].kwargs = kwargs;
        built(&network).unwrap_err()
    };
    let error = refusal("TFOpLambda", json!({"function": "signal.stft"}), Vec::new());
    assert!(
        error.contains("layer `it` (TFOpLambda): the operation `signal.stft` is not supported"),
        "{error}"
    );
    for (indices, reason) in [
        (json!([[0, 1], [2, 0]]), "found 2, expected positions among 2"),
        (json!([0, 1]), "found a tensor of shape [2], expected one that broadcasts to [1, 2] but for axis 1"),
    ] {
        let indices = vec![("indices".into(), Arg::Constant(indices))];
        let error = refusal("TakeAlongAxis", json!({"axis": 1}), indices);
        assert!(error.contains(reason), "{error}");
    }
    let error = refusal("Max", json!({"axis": 1, "initial": 3.0}), Vec::new());
    assert!(error.contains("the argument `initial` (3.0)"), "{error}");
    let computed = Arg::Tensor(TensorRef { layer: LayerId(0), node: 0, tensor: 0 });
    let error = refusal("Reshape", json!({}), vec![("newshape".into(), computed)]);
    assert!(error.contains("the argument `newshape` (a tensor)"), "{error}");
    let error = refusal("Split", json!({"indices_or_sections": 3, "axis": 1}), Vec::new());
    assert!(error.contains("found 2 elements in 3 parts, expected equal parts"), "{error}");
}

#[test]
fn unknown_extents_are_asked_for_and_taken_from_the_options() {
    let open = chain(Some(vec![None, None]), vec![dense("d")]);
    let error = lowered(&open, &Options::default()).unwrap_err();
    assert!(error.fault.remedy().is_some_and(|remedy| remedy.contains("--input-shape x=…")), "{error}");
    let with = |shape: Vec<usize>, batch| Options {
        batch,
        input_shapes: vec![("x".into(), shape)],
        ..Options::default()
    };
    let graph = lowered(&open, &with(vec![2], Some(4))).unwrap();
    assert_eq!(graph.dims(graph.outputs[0]), [4, 2]);
    let closed = chain(Some(PAIR.into()), vec![dense("d")]);
    let error = lowered(&closed, &with(vec![3], None)).unwrap_err().to_string();
    assert!(error.contains("found [3], expected extents after the batch that fit [?, 2]"), "{error}");
    let misspelt = Options { input_shapes: vec![("y".into(), vec![2])], ..Options::default() };
    let error = lowered(&closed, &misspelt).unwrap_err().to_string();
    assert!(error.contains("found `y`, expected an input of the model: x"), "{error}");
}

#[test]
fn a_call_as_in_training_is_refused_where_predict_would_obey_it() {
    let mut network = chain(Some(PAIR.into()), vec![dense("d")]);
    let in_dialect = |network: &Network, dialect| {
        lower_network(Path::new("m.h5"), dialect, true, network, &Options::default())
            .map_err(|error| error.to_string())
    };
    network.calls[0].kwargs = vec![("training".into(), Arg::Constant(json!(false)))];
    assert!(in_dialect(&network, Dialect::Keras2).is_ok());
    network.calls[0].kwargs = vec![("training".into(), Arg::Constant(json!(true)))];
    assert!(in_dialect(&network, Dialect::Keras2).unwrap_err().contains("training=True"));
    assert!(in_dialect(&network, Dialect::Keras3).is_ok());
}

#[test]
fn an_activation_argument_follows_its_layer() {
    let mut activated = dense("d");
    activated.config.0.insert("activation".into(), json!({"class_name": "LeakyReLU", "config": {}}));
    let graph = built(&chain(Some(PAIR.into()), vec![activated])).unwrap();
    let ops: Vec<OpCode> = graph.nodes.iter().map(|node| node.op).collect();
    assert_eq!(ops, [OpCode::FullyConnected, OpCode::LeakyRelu]);
}
