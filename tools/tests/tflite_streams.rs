//! Models with state from elsewhere, against what TensorFlow Lite Micro computes for one row, and TensorFlow
//! Lite for rows that follow each other: integers bit for bit, reals within 10⁻⁴ of the largest.
//!
//! The models are not part of this repository: without them, the test says so and passes.

mod corpus;

use corpus::corpus;
use flatpack::array::Array;
use flatpack::build::{self, Goldens, Options};
use flatpack::predict::{self, Outputs};
use flatpack::{data, import};
use flatpack_format::{DType, Model};
use std::path::{Path, PathBuf};

/// The models, and how many rows in a row were recorded.
const MODELS: &[(&str, usize)] = &[
    ("tl_coral_lstm_mnist_ptq", 0),
    ("tl_keyword_scrambled", 20),
    ("tl_micro_speech_lstm", 0),
    ("tl_mnist_lstm_float", 0),
    ("tl_mww_hey_jarvis_v1", 40),
    ("tl_mww_okay_nabu_v2", 40),
    ("tl_mww_vad_v2", 40),
];

/// Models that need operators on integers which are not there.
const NOT_YET: &[&str] =
    &["tl_keyword_scrambled", "tl_mww_hey_jarvis_v1", "tl_mww_okay_nabu_v2", "tl_mww_vad_v2"];

fn folder(name: &str) -> Option<PathBuf> {
    let folder = corpus()?.join("open").join(name);
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

fn array(file: &Path) -> Array {
    data::load(file).unwrap_or_else(|error| panic!("{error:?}")).remove(0).1
}

/// What is wrong with a model, if anything.
fn check(folder: &Path, steps: usize) -> Result<(), String> {
    let opened = import::open(&folder.join("model.tflite"), None).map_err(|error| error.to_string())?;
    let (graph, _) = opened.graph(&Default::default()).map_err(|error| error.to_string())?;
    let options = Options { goldens: Goldens::Predicted(1), ..Options::default() };
    let built = build::build(graph, &options).map_err(|error| error.to_string())?;
    let model = Model::parse(built.bytes()).unwrap();
    assert!(model.header().state_bytes > 0);
    let exact = model.outputs().all(|output| output.dtype() != DType::F32);
    let meets = |what: &str, got: &Array, want: &Array| {
        let largest = want.values.iter().fold(1.0f32, |largest, v| largest.max(v.abs()));
        let tolerance = if exact { 0.0 } else { 1e-4 * largest };
        let far = got.values.iter().zip(&want.values).position(|(g, w)| (g - w).abs() > tolerance);
        match far {
            _ if got.len() != want.len() => Err(format!("{what}: {} elements of {}", got.len(), want.len())),
            Some(at) => Err(format!("{what}: element {at} is {}, not {}", got.values[at], want.values[at])),
            None => Ok(()),
        }
    };
    let x = array(&folder.join("input_0.npy"));
    let y = predict::predict_as(model, &[x], Outputs::Raw).map_err(|error| error.to_string())?.remove(0);
    meets("one row", &y, &array(&folder.join("tflm_output_0.npy")))?;
    if steps > 0 {
        let mut xs = array(&folder.join("input_seq.npy"));
        assert_eq!(xs.shape[0], steps);
        // One batch a step.
        xs.shape = model.inputs().next().unwrap().shape().dims().iter().map(|&dim| dim as usize).collect();
        xs.shape[0] *= steps;
        let options =
            predict::Options { outputs: Outputs::Raw, keep_state: true, ..predict::Options::default() };
        let y = predict::predict_with(model, &[xs], options);
        let y = y.map_err(|error| error.to_string())?.remove(0);
        meets("a stream", &y, &array(&folder.join("output_seq.npy")))?;
    }
    Ok(())
}

#[test]
fn states_are_those_of_tensorflow_lite() {
    let wrong: Vec<String> = MODELS
        .iter()
        .filter(|(name, _)| !NOT_YET.contains(name))
        .filter_map(|(name, steps)| Some((name, check(&folder(name)?, *steps).err()?)))
        .map(|(name, error)| format!("{name}: {error}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
