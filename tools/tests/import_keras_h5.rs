//! Reads every HDF5 model of the corpus, and damaged ones.
//!
//! Expected numbers are Keras' own: `info.json` of each entry has the shapes of its inputs and the
//! number of parameters of each layer as Keras counts them; single values were read with h5py.

mod corpus;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use corpus::corpus;
use flatpack::import::keras::{Arg, Layer, Network, Saved, Weight, Weights, open};
use flatpack::import::{Fault, ImportError};
use serde_json::{Value, json};

/// A model and, where they are apart, its weights.
#[derive(Debug)]
struct Entry {
    model: PathBuf,
    weights: Option<PathBuf>,
}

impl Entry {
    fn read(&self) -> Result<(Saved, Network), ImportError> {
        let saved = open(&self.model, self.weights.as_deref())?;
        let network = saved.network()?;
        Ok((saved, network))
    }

    fn info(&self) -> Value {
        let path = self.model.with_file_name("info.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }
}

fn entries(corpus: &Path, folder: &str) -> Vec<Entry> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(corpus.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
        .into_iter()
        .filter_map(|folder| {
            let (h5, json) = (folder.join("model.h5"), folder.join("model.json"));
            match (json.is_file(), h5.is_file()) {
                (true, _) => Some(Entry { model: json, weights: Some(folder.join("model_weights.h5")) }),
                (false, true) => Some(Entry { model: h5, weights: None }),
                (false, false) => None,
            }
        })
        .collect()
}

/// Entries of `open` that are no models, by the end of their folder's name.
const REFUSED: [&str; 2] = ["lfs_pointer_not_a_model", "weights_only_keras2cpp"];

fn readable(corpus: &Path) -> Vec<Entry> {
    ["layers/keras2", "layers/keras3", "open", "trained"]
        .iter()
        .flat_map(|folder| entries(corpus, folder))
        .filter(|entry| !REFUSED.iter().any(|name| entry.model.parent().unwrap().ends_with(name)))
        .collect()
}

/// Number of parameters in each layer and model inside, by path.
fn parameter_counts(path: &str, layers: &[Layer], counts: &mut BTreeMap<String, usize>) -> usize {
    let mut sum = 0;
    for layer in layers {
        let path = if path.is_empty() { layer.name.clone() } else { format!("{path}/{}", layer.name) };
        let own: usize = layer.weights.iter().map(|weight| weight.array.len()).sum();
        let all = own + parameter_counts(&path, layer.inner.layers(), counts);
        counts.insert(path, all);
        sum += all;
    }
    sum
}

/// Arrays of all layers, by path.
fn arrays(path: &str, layers: &[Layer], found: &mut Vec<(String, Vec<Weight>)>) {
    for layer in layers {
        let path = format!("{path}/{}", layer.name);
        arrays(&path, layer.inner.layers(), found);
        found.push((path, layer.weights.clone()));
    }
}

fn arrays_of(network: &Network) -> Vec<(String, Vec<Weight>)> {
    let mut found = Vec::new();
    arrays("", &network.layers, &mut found);
    found
}

#[test]
fn every_layer_configuration_is_read_with_its_inputs_outputs_and_parameters() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for entry in ["layers/keras2", "layers/keras3"].iter().flat_map(|folder| entries(&corpus, folder)) {
        let (saved, network) = entry.read().unwrap_or_else(|error| panic!("{error}"));
        let info = entry.info();
        assert_eq!(saved.keras_version.unwrap().to_string(), info["keras"].as_str().unwrap());
        let shapes: Vec<_> = network.inputs.iter().map(|input| input.shape.clone()).collect();
        assert_eq!(json!(shapes), info["inputs"], "{entry:?}");
        assert_eq!(network.outputs.len(), info["outputs"].as_array().unwrap().len(), "{entry:?}");
        let parameters = parameter_counts("", &network.layers, &mut BTreeMap::new());
        assert_eq!(json!(parameters), info["params"], "{entry:?}");
        count += 1;
    }
    assert_eq!(count, 246);
}

#[test]
fn real_models_have_keras_parameter_count_in_every_nested_layer() {
    let Some(corpus) = corpus() else { return };
    let models = readable(&corpus).into_iter().filter(|entry| entry.model.iter().any(|part| part == "open"));
    let mut compared = 0;
    for entry in models {
        let (_, network) = entry.read().unwrap_or_else(|error| panic!("{error}"));
        let info = entry.info();
        let mut counts = BTreeMap::new();
        let sum = parameter_counts("", &network.layers, &mut counts);
        if let Some(parameters) = info["params"].as_u64() {
            assert_eq!(sum as u64, parameters, "{entry:?}");
        }
        for layer in info["layers"].as_array().into_iter().flatten() {
            let (name, parameters) = (layer["name"].as_str().unwrap(), layer["params"].as_u64().unwrap());
            assert_eq!(counts.get(name).map(|count| *count as u64), Some(parameters), "{name} of {entry:?}");
            compared += 1;
        }
        for (input, expected) in network.inputs.iter().zip(info["inputs"].as_array().into_iter().flatten()) {
            assert_eq!(json!(input.shape), expected["shape"], "{entry:?}");
        }
        if let Some(outputs) = info["outputs"].as_array() {
            assert_eq!(network.outputs.len(), outputs.len(), "{entry:?}");
        }
    }
    assert!(compared > 300, "{compared} layers compared");
}

#[test]
fn values_are_those_h5py_reads() {
    let Some(corpus) = corpus() else { return };
    let network = |name: &str| {
        let entry = Entry { model: corpus.join(name).join("model.h5"), weights: None };
        entry.read().unwrap().1
    };
    let all = arrays_of(&network("trained/digits_mlp"));
    let of = |path: &str| all.iter().find(|(name, _)| name == path).map(|(_, weights)| weights).unwrap();
    let kernel = &of("/dense_1")[0];
    assert_eq!(
        (kernel.name.as_str(), kernel.array.shape.as_slice()),
        ("sequential_1/dense_1/kernel", &[64, 32][..])
    );
    assert_eq!(kernel.array.values[..3], [0.053_943_396, 0.236_501_28, 0.244_390_19]);
    assert_eq!(of("/dense_2")[1].array.values[..3], [0.064_346_03, -0.091_697_775, -0.061_916_266]);

    // Gamma and beta are in the trainable part of the nested model's list, the averages in the other.
    let all = arrays_of(&network("open/teachable_machine_nested"));
    let (_, weights) = all.iter().find(|(name, _)| name == "/sequential_1/model1/bn_Conv1").unwrap();
    let firsts: Vec<f32> = weights.iter().map(|weight| weight.array.values[0]).collect();
    assert_eq!(firsts, [0.355_103_52, 3.074_866_5, -0.000_130_264_48, 0.041_632_07]);
}

#[test]
fn arrays_and_groups_without_telling_names_go_by_order_to_the_same_layers() {
    let Some(corpus) = corpus() else { return };
    for entry in readable(&corpus) {
        let (mut saved, network) = entry.read().unwrap_or_else(|error| panic!("{error}"));
        let expected = arrays_of(&network);
        let groups = saved.weights.groups().iter().enumerate();
        // The arrays of a class of one's own cannot be counted, so that its model needs its names.
        let has_own_class = network.layers.iter().any(|layer| layer.class == "ConvDNA");
        let rename = |(at, (name, weights)): (usize, &(String, Vec<Weight>))| {
            let weights =
                weights.iter().map(|weight| Weight { name: "w".into(), array: weight.array.clone() });
            (if has_own_class { name.clone() } else { format!("group {at}") }, weights.collect())
        };
        saved.weights = Weights::new(groups.map(rename).collect());
        let found = arrays_of(&saved.network().unwrap_or_else(|error| panic!("{error}")));
        for ((path, expected), (_, found)) in expected.iter().zip(&found) {
            let arrays =
                |weights: &[Weight]| weights.iter().map(|weight| weight.array.clone()).collect::<Vec<_>>();
            assert_eq!(arrays(expected), arrays(found), "{path} of {entry:?}");
        }
    }
}

#[test]
fn operations_of_both_generations_read_alike() {
    let Some(corpus) = corpus() else { return };
    for case in ["graph_python_operators", "graph_slicing", "lstm_initial_state"] {
        let calls = |generation: &str| {
            let model = corpus.join("layers").join(generation).join(case).join("model.h5");
            let (_, network) = Entry { model, weights: None }.read().unwrap();
            let described = |call: &flatpack::import::keras::Call| {
                let layer = network.layer(call.layer);
                (layer.class.clone(), layer.is_operation, call.args.clone(), call.kwargs.clone())
            };
            network.calls.iter().map(described).collect::<Vec<_>>()
        };
        assert_eq!(calls("keras2"), calls("keras3"), "{case}");
    }
}

#[test]
fn every_call_takes_only_what_was_computed_before() {
    let Some(corpus) = corpus() else { return };
    fn check(network: &Network, entry: &Entry) {
        let mut known: Vec<(usize, usize)> =
            network.inputs.iter().map(|input| (input.tensor.layer.0, 0)).collect();
        for call in &network.calls {
            for tensor in call.tensors() {
                assert!(known.contains(&(tensor.layer.0, tensor.node)), "{tensor} in {entry:?}");
            }
            known.push((call.layer.0, call.node));
            assert!(!call.args.is_empty() && call.args[0] != Arg::Constant(Value::Null), "{entry:?}");
        }
        for output in &network.outputs {
            assert!(known.contains(&(output.layer.0, output.node)), "{output} in {entry:?}");
        }
        for layer in &network.layers {
            if let flatpack::import::keras::Inner::Network(inner) = &layer.inner {
                check(inner, entry);
            }
        }
    }
    for entry in readable(&corpus) {
        check(&entry.read().unwrap().1, &entry);
    }
}

#[test]
fn what_is_no_model_is_refused_with_a_remedy() {
    let Some(corpus) = corpus() else { return };
    let refused = |name: &str| open(&corpus.join("open").join(name), None).unwrap_err();
    let remedy = |error: &ImportError| error.fault.remedy().unwrap_or_default().to_owned();

    let lfs = refused("lfs_pointer_not_a_model/model.h5");
    assert!(lfs.to_string().contains("Git LFS pointer") && remedy(&lfs).contains("git lfs pull"), "{lfs}");

    let weights = refused("weights_only_keras2cpp/model.h5");
    assert!(weights.to_string().contains("without an architecture"), "{weights}");
    assert!(remedy(&weights).contains("flatpack build model.json --weights weights.h5"));

    let json = refused("dronet_json_plus_weights/model.json");
    assert!(json.to_string().contains("without weights") && remedy(&json).contains("--weights"), "{json}");

    for (name, said) in [
        ("../trained/digits_cnn/test.npz", "NumPy archive"),
        ("pickle_hostile_marker/model.pkl", "calls `posix.mkdir` (at byte 54713)"),
        ("tl_hello_world_float/model.tflite", "TensorFlow Lite"),
        ("tiny_kws_dscnn_savedmodel/model/saved_model.pb", "protocol buffer"),
        ("ox_basic_pitch/model.onnx", "protocol buffer"),
        ("hand_keypoint_mlp/input_0.npy", "NumPy"),
        ("hand_keypoint_mlp/info.json", "JSON"),
    ] {
        let error = refused(name);
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.fault.remedy().is_some());
    }
}

#[test]
fn the_code_in_a_lambda_is_carried_and_not_decoded() {
    let Some(corpus) = corpus() else { return };
    let entry = Entry { model: corpus.join("open/car_nvidia_keras1_lambda/model.h5"), weights: None };
    let (saved, network) = entry.read().unwrap();
    let lambda = &network.layers[1];
    assert_eq!((lambda.class.as_str(), network.inputs[0].name.as_str()), ("Lambda", "lambda_1_input"));
    assert!(lambda.config.get("function").is_some_and(|function| function[0].is_string()));
    assert_eq!(saved.backend, None);
    assert_eq!(network.layers[2].class, "Conv2D");
}

#[test]
fn what_is_dropped_is_named_with_its_size() {
    let Some(corpus) = corpus() else { return };
    let saved = open(&corpus.join("trained/digits_mlp/model.h5"), None).unwrap();
    let dropped: Vec<_> =
        saved.dropped.iter().map(|dropped| (dropped.name.as_str(), dropped.bytes)).collect();
    // Adam: two moments of 2,410 parameters, its step count (8 bytes) and its learning rate (4).
    assert_eq!(dropped, [("training_config", 581), ("optimizer_weights", 2 * 2410 * 4 + 8 + 4)]);
    assert!(saved.training_config.is_some());
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keras_h5").join(name)
}

#[test]
fn every_type_of_weight_and_attributes_in_pieces_are_read() {
    let saved = open(&data("odd_types.h5"), None).unwrap();
    assert_eq!(saved.keras_version.unwrap().to_string(), "2.2.4");
    let network = saved.network().unwrap();
    let kernel = |name: &str| {
        let layer = network.layers.iter().find(|layer| layer.name == name).unwrap();
        layer.weights[0].array.values.clone()
    };
    // What make.py wrote.
    assert_eq!(kernel("half"), [0.5, -1.25, 2f32.powi(-24), 65504.0]);
    assert_eq!(kernel("double_big_endian"), [0.5, 0.1, -2.0, 3.0]);
    assert_eq!(kernel("single_big_endian"), [0.1, 0.2, 0.3, 0.4]);
    assert_eq!(kernel("int8"), [-128.0, 127.0, 0.0, 1.0]);
    assert_eq!(kernel("int64"), [1.0, 2.0, 3.0, 16_777_216.0]);
    assert_eq!(kernel("compressed"), (0..2000u16).map(f32::from).collect::<Vec<_>>());

    assert_eq!(saved.notes.len(), 4, "{:?}", saved.notes);
    let note = |dtype: &str| saved.notes.iter().find(|note| note.contains(dtype)).unwrap().as_str();
    assert!(note("float16").contains("exactly"));
    assert!(note("float64").contains("lose digits"));
    assert!(note("int8").contains("exactly"));
    assert!(note("int64").contains("lose digits"));
}

#[test]
fn a_group_that_contains_itself_is_walked_once_and_a_broken_training_config_does_no_harm() {
    let saved = open(&data("odd_types.h5"), None).unwrap();
    assert_eq!(saved.training_config, None);
    let dropped: Vec<_> =
        saved.dropped.iter().map(|dropped| (dropped.name.as_str(), dropped.bytes)).collect();
    assert_eq!(dropped, [("training_config", 9), ("optimizer_weights", 8)]);
}

#[test]
fn links_to_paths_and_other_files_are_not_followed() {
    for (file, target) in [
        ("external_link.h5", "odd_types.h5:/model_weights/int8/int8/kernel:0"),
        ("soft_link_table.h5", "/elsewhere"),
        ("soft_link_message.h5", "/elsewhere"),
        ("soft_link_heap.h5", "/elsewhere"),
    ] {
        let error = open(&data(file), None).unwrap_err().to_string();
        assert!(error.contains(&format!("the link `kernel:0` to `{target}`")), "{error}");
    }
}

#[test]
fn an_architecture_in_json_takes_the_weights_of_a_whole_model_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("architecture");
    let whole = open(&data("odd_types.h5"), None).unwrap();
    let text = whole.config.to_string();
    for text in [text.clone(), format!("\u{feff}{text}"), json!(text).to_string()] {
        fs::write(&path, text).unwrap();
        let saved = open(&path, Some(&data("odd_types.h5"))).unwrap();
        assert_eq!(arrays_of(&saved.network().unwrap()).len(), 7);
    }
}

#[test]
fn broken_json_and_exchanged_files_are_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let json_file = folder.path().join("model.json");
    let weights = data("odd_types.h5");
    let with_json = |text: &str| {
        fs::write(&json_file, text).unwrap();
        open(&json_file, Some(&weights)).unwrap_err().to_string()
    };
    assert!(with_json("{\"class_name\": \"Sequential\", ").contains("not valid JSON"));
    assert!(with_json("{\"a\": 1}").contains("without `class_name`"));
    assert!(open(&weights, Some(&json_file)).unwrap_err().to_string().contains("architecture as JSON"));
    assert!(open(&json_file, Some(&json_file)).unwrap_err().to_string().contains("without `class_name`"));
    fs::write(&json_file, "{\"class_name\": \"Sequential\", \"config\": []}").unwrap();
    assert!(open(&json_file, Some(&json_file)).unwrap_err().to_string().contains("JSON text"));
    assert!(open(&folder.path().join("absent"), None).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn weights_of_another_architecture_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let json_file = folder.path().join("model.json");
    let layer = json!({"class_name": "Dense", "config": {"name": "half", "units": 2, "batch_input_shape": [null, 2]}});
    let model = json!({"class_name": "Sequential", "keras_version": "2.15.0", "config": {"name": "s", "layers": [layer]}});
    fs::write(&json_file, model.to_string()).unwrap();
    let error = open(&json_file, Some(&data("odd_types.h5"))).unwrap().network().unwrap_err();
    assert!(error.to_string().contains("weights of 6 layers"), "{error}");
}

/// A small real model and a folder for its variants.
fn small_model() -> Option<(Vec<u8>, tempfile::TempDir)> {
    let bytes = fs::read(corpus()?.join("layers/keras2/graph_nested_model/model.h5")).unwrap();
    Some((bytes, tempfile::tempdir().unwrap()))
}

#[test]
fn a_truncated_file_is_an_error_at_every_length() {
    let Some((bytes, folder)) = small_model() else {
        return;
    };
    let path = folder.path().join("model.h5");
    let lengths = (0..600).chain((600..bytes.len()).step_by(97)).chain([bytes.len() - 1]);
    for length in lengths {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = open(&path, None).expect_err("cut short");
        assert!(error.to_string().contains("model.h5"), "{error}");
        if length >= 600 {
            let cut = matches!(*error.fault, Fault::Truncated { found_bytes, expected_bytes }
                if found_bytes == length as u64 && expected_bytes == bytes.len() as u64);
            assert!(cut, "{error}");
        }
    }
}

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn changed_bytes_are_an_error_or_a_model_and_never_a_panic() {
    let Some((bytes, folder)) = small_model() else {
        return;
    };
    let path = folder.path().join("model.h5");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..2000 {
        let mut changed = bytes.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(changed.len());
            changed[at] = random.below(256) as u8;
        }
        fs::write(&path, &changed).unwrap();
        match open(&path, None).and_then(|saved| saved.network()) {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}

/// Replaces a value somewhere in `value` by another one from it or by something unexpected.
fn replace(value: &mut Value, random: &mut Random) {
    let children = match value {
        Value::Array(values) => values.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    };
    // Stops at each level with a chance of one in eight, so that all depths are met.
    if children == 0 || random.below(8) == 0 {
        let others = [
            json!(null),
            json!(-1),
            json!(u64::MAX),
            json!(1.5),
            json!(""),
            json!("dense"),
            json!([]),
            json!({}),
            json!(["dense", 7, 0, {}]),
            json!({"class_name": "Dense", "config": {}}),
            json!([value.clone(), value.clone()]),
        ];
        *value = others[random.below(others.len())].clone();
        return;
    }
    let at = random.below(children);
    let child = match value {
        Value::Array(values) => values.get_mut(at),
        Value::Object(map) => map.values_mut().nth(at),
        _ => None,
    };
    replace(child.expect("counted above"), random);
}

#[test]
fn changed_architectures_are_an_error_or_a_model_and_never_a_panic() {
    let Some(corpus) = corpus() else { return };
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for name in [
        "keras2/graph_nested_model",
        "keras3/graph_slicing",
        "keras3/bidirectional_lstm",
        "keras2/lstm_initial_state",
    ] {
        let saved = open(&corpus.join("layers").join(name).join("model.h5"), None).unwrap();
        for _ in 0..1000 {
            let mut changed = saved.clone();
            replace(&mut changed.config, &mut random);
            let _ = changed.network();
        }
    }
}
