//! Whole nets in `.tflite` files, built and run, against what TensorFlow Lite computes.

use flatpack::array::Array;
use flatpack::build::{self, Goldens, Options};
use flatpack::predict::{self, Outputs};
use flatpack::{data, import};
use flatpack_format::{Model, Target};
use std::path::{Path, PathBuf};

fn net(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tflite").join(name)
}

/// What the file of a net gives for these rows.
fn run(net: &Path, file: &str, x: &Array) -> Array {
    let (graph, origin) = import::open(&net.join(file), None).unwrap().graph(&Default::default()).unwrap();
    assert_eq!((origin.format, origin.unit), ("TensorFlow Lite", "operators"));
    let options = Options { target: Target::Linux, goldens: Goldens::Predicted(1), ..Options::default() };
    let built = build::build(graph, &options).unwrap_or_else(|error| panic!("{file}: {error}"));
    let model = Model::parse(built.bytes()).unwrap();
    predict::predict_as(model, std::slice::from_ref(x), Outputs::Raw).unwrap().remove(0)
}

/// The net's rows: inputs, and what is expected by name.
fn rows(net: &Path) -> Vec<(String, Array)> {
    data::load(&net.join("rows.npz")).unwrap()
}

fn named<'a>(rows: &'a [(String, Array)], name: &str) -> &'a Array {
    &rows.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1
}

#[test]
fn weights_of_any_kind_give_what_kernels_on_reals_give() {
    for name in ["digits_cnn", "digits_gru", "digits_mlp", "gesture_lstm", "machine_ae"] {
        let net = net(name);
        let rows = rows(&net);
        for (file, expected) in [
            ("float32.tflite", "y_float32"),
            ("float16.tflite", "y_float16"),
            ("dynamic_range.tflite", "y_int8_weights"),
        ] {
            let y = run(&net, file, named(&rows, "x"));
            let expected = named(&rows, expected);
            let largest = expected.values.iter().fold(1.0f32, |largest, v| largest.max(v.abs()));
            let apart = y.values.iter().zip(&expected.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert_eq!(y.len(), expected.len(), "{name}/{file}");
            assert!(apart <= 1e-4 * largest, "{name}/{file}: {apart}");
        }
    }
}

#[test]
fn nets_of_integers_give_the_bits_of_tensorflow_lite_micro() {
    for name in ["digits_cnn", "digits_gru", "digits_mlp", "machine_ae"] {
        let net = net(name);
        let rows = rows(&net);
        let y = run(&net, "int8.tflite", named(&rows, "x_int8"));
        assert_eq!(y.values, named(&rows, "y_int8").values, "{name}");
    }
}
