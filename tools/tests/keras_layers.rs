//! Every layer configuration of the corpus: imported, lowered and computed by the reference, compared
//! with what Keras recorded.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use flatpack::graph::Graph;
use flatpack::import::keras;
use flatpack::import::{Fault, ImportError};
use flatpack::reference::Predictor;
use ndarray_npy::ReadNpyExt;
use serde_json::Value;
use tract_core::prelude::tract_ndarray::{ArrayD, Axis};

/// Layers that this version refuses; a model with one of them may be refused.
const REFUSED: &[&str] =
    &["Attention", "Bidirectional", "Embedding", "GRU", "LSTM", "Masking", "MultiHeadAttention", "SimpleRNN"];

/// Layers that are still to be lowered: an entry goes when its layer comes.
const TO_COME: &[&str] = &["TimeDistributed"];

enum Outcome {
    /// The largest difference from Keras' outputs, and what is allowed.
    Computed {
        difference: f32,
        allowed: f32,
    },
    Refused {
        reason: String,
        permitted: bool,
    },
    Failed(String),
}

#[test]
fn every_layer_configuration_gives_what_keras_recorded() {
    let corpus = std::env::var_os("FLATPACK_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    if !corpus.is_dir() {
        eprintln!("skipped: no corpus at {}; set FLATPACK_CORPUS", corpus.display());
        return;
    }
    let mut counts = [0; 3];
    let mut wrong = Vec::new();
    for folder in ["layers/keras3", "layers/keras2"] {
        let mut cases: Vec<PathBuf> =
            fs::read_dir(corpus.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        cases.sort();
        for case in cases {
            let name = case.strip_prefix(&corpus).unwrap().display().to_string();
            let (column, line) = match outcome(&case) {
                Outcome::Computed { difference, allowed } if difference <= allowed => {
                    (0, format!("passed   {name}: {difference:.1e}"))
                }
                Outcome::Computed { difference, allowed } => {
                    wrong.push(name.clone());
                    (2, format!("FAILED   {name}: off by {difference:e}, allowed {allowed:e}"))
                }
                Outcome::Refused { reason, permitted } => {
                    if !permitted {
                        wrong.push(name.clone());
                    }
                    (1, format!("refused  {name}: {reason}"))
                }
                Outcome::Failed(why) => {
                    wrong.push(name.clone());
                    (2, format!("FAILED   {name}: {why}"))
                }
            };
            counts[column] += 1;
            println!("{line}");
        }
    }
    let [passed, refused, failed] = counts;
    println!("{passed} passed, {refused} refused, {failed} failed");
    assert!(wrong.is_empty(), "failed, or refused without need: {wrong:#?}");
    assert!(passed > 0);
}

fn outcome(case: &Path) -> Outcome {
    let graph = match imported(&case.join("model.h5")) {
        Ok(graph) => graph,
        Err(error) => {
            let info: Value = serde_json::from_slice(&fs::read(case.join("info.json")).unwrap()).unwrap();
            let layers = info["layers"].as_array().unwrap();
            let classes = layers.iter().map(|layer| layer.as_str().unwrap());
            let refused = error.layer.as_ref().map(|layer| layer.class.as_str());
            let listed = |class: &str| REFUSED.contains(&class) || TO_COME.contains(&class);
            let permitted =
                classes.chain(refused).any(listed) && matches!(*error.fault, Fault::Unsupported { .. });
            let layer = error.layer.as_ref().map_or("the file", |layer| &layer.path);
            return Outcome::Refused { reason: format!("`{layer}`: {}", error.fault), permitted };
        }
    };
    let predictor = match Predictor::new(&graph) {
        Ok(predictor) => predictor,
        Err(error) => return Outcome::Failed(format!("{error:#}")),
    };
    let inputs: Vec<ArrayD<f32>> =
        (0..graph.inputs.len()).map(|at| npy(&case.join(format!("input_{at}.npy")))).collect();
    let expected: Vec<ArrayD<f32>> =
        (0..graph.outputs.len()).map(|at| npy(&case.join(format!("output_{at}.npy")))).collect();
    assert!(!case.join(format!("output_{}.npy", expected.len())).exists(), "{case:?} has more outputs");
    let mut difference = 0.0;
    let mut largest: f32 = 1.0;
    for row in 0..inputs[0].shape()[0] {
        let values: Vec<Vec<f32>> = inputs.iter().map(|input| row_of(input, row)).collect();
        let computed = match predictor.predict(&values) {
            Ok(computed) => computed,
            Err(error) => return Outcome::Failed(format!("{error:#}")),
        };
        for (expected, output) in expected.iter().zip(&graph.outputs) {
            let dims: Vec<usize> = graph.dims(*output).iter().map(|&extent| extent as usize).collect();
            if dims[1..] != expected.shape()[1..] {
                return Outcome::Failed(format!("shape {dims:?}, Keras has {:?}", expected.shape()));
            }
            let input = graph.inputs.iter().position(|input| input == output);
            let computed = input.map_or_else(|| &computed[output], |input| &values[input]);
            for (computed, expected) in computed.iter().zip(row_of(expected, row)) {
                let off = (computed - expected).abs();
                // A value that is no number differs from all others.
                if off.is_nan() || off > difference {
                    difference = if off.is_nan() { f32::INFINITY } else { off };
                }
                largest = largest.max(expected.abs());
            }
        }
    }
    Outcome::Computed { difference, allowed: 1e-4 * largest }
}

fn imported(file: &Path) -> Result<Graph, ImportError> {
    let saved = keras::open(file, None)?;
    keras::lower(&saved, &saved.network()?, &keras::Options::default())
}

fn npy(path: &Path) -> ArrayD<f32> {
    let open = || File::open(path).unwrap();
    ArrayD::<f32>::read_npy(open())
        .or_else(|_| ArrayD::<i32>::read_npy(open()).map(|integers| integers.mapv(|integer| integer as f32)))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn row_of(array: &ArrayD<f32>, row: usize) -> Vec<f32> {
    array.index_axis(Axis(0), row).iter().copied().collect()
}
