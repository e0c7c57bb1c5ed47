//! Every layer configuration kept here and in the corpus: built to a file and run, compared with what Keras
//! recorded.

mod corpus;

use std::fs;
use std::path::{Path, PathBuf};

use corpus::corpus;
use flatpack::array::Array;
use flatpack::build::{Goldens, Options, build};
use flatpack::data::load;
use flatpack::graph::Graph;
use flatpack::import::ImportError;
use flatpack::import::keras;
use flatpack::predict::predict;
use flatpack_format::Model;

enum Outcome {
    /// The largest difference from Keras' outputs, and what is allowed.
    Computed {
        difference: f32,
        allowed: f32,
        /// The output with that difference.
        output: usize,
    },
    Failed(String),
}

#[test]
fn every_case_kept_here_gives_what_keras_recorded() {
    compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/layers"));
}

#[test]
fn every_layer_configuration_of_the_corpus_gives_what_keras_recorded() {
    let Some(corpus) = corpus() else { return };
    compare(&corpus.join("layers"));
}

/// Compares every case in the folders `keras3` and `keras2`, and prints a line for each.
fn compare(layers: &Path) {
    let mut counts = [0; 2];
    let mut wrong = Vec::new();
    for folder in ["keras3", "keras2"] {
        let mut cases: Vec<PathBuf> =
            fs::read_dir(layers.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        cases.sort();
        for case in cases {
            let name = case.strip_prefix(layers).unwrap().display().to_string();
            let (column, line) = match outcome(&case) {
                Outcome::Computed { difference, allowed, .. } if difference <= allowed => {
                    (0, format!("passed   {name}: {difference:.1e}"))
                }
                Outcome::Computed { difference, allowed, output } => {
                    wrong.push(name.clone());
                    (
                        1,
                        format!(
                            "FAILED   {name}: output {output} off by {difference:e}, allowed {allowed:e}"
                        ),
                    )
                }
                Outcome::Failed(why) => {
                    wrong.push(name.clone());
                    (1, format!("FAILED   {name}: {why}"))
                }
            };
            counts[column] += 1;
            println!("{line}");
        }
    }
    let [passed, failed] = counts;
    println!("{passed} passed, {failed} failed");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(passed > 0);
}

fn outcome(case: &Path) -> Outcome {
    let graph = match imported(&case.join("model.h5")) {
        Ok(graph) => graph,
        Err(error) => {
            let layer = error.layer.as_ref().map_or("the file", |layer| &layer.path);
            return Outcome::Failed(format!("`{layer}`: {}", error.fault));
        }
    };
    let inputs: Vec<Array> = (0..graph.inputs.len()).map(|at| npy(case, "input", at)).collect();
    let expected: Vec<Array> = (0..graph.outputs.len()).map(|at| npy(case, "output", at)).collect();
    assert!(!case.join(format!("output_{}.npy", expected.len())).exists(), "{case:?} has more outputs");
    // Building runs the file against the reference's predictions.
    let options = Options { goldens: Goldens::Predicted(1), ..Options::default() };
    let built = match build(graph, &options) {
        Ok(built) => built,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let computed = match predict(Model::parse(built.bytes()).unwrap(), &inputs) {
        Ok(computed) => computed,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let mut worst = Outcome::Computed { difference: 0.0, allowed: 1e-4, output: 0 };
    let mut share = 0.0;
    for (output, (computed, expected)) in computed.iter().zip(&expected).enumerate() {
        if computed.shape != expected.shape {
            let (shape, keras) = (&computed.shape, &expected.shape);
            return Outcome::Failed(format!("output {output} is {shape:?}, Keras has {keras:?}"));
        }
        let mut difference: f32 = 0.0;
        let mut largest: f32 = 1.0;
        for (computed, expected) in computed.values.iter().zip(&expected.values) {
            let off = (computed - expected).abs();
            // A value that is no number differs from all others.
            difference = difference.max(if off.is_nan() { f32::INFINITY } else { off });
            largest = largest.max(expected.abs());
        }
        if difference / largest > share {
            share = difference / largest;
            worst = Outcome::Computed { difference, allowed: 1e-4 * largest, output };
        }
    }
    worst
}

fn imported(file: &Path) -> Result<Graph, ImportError> {
    let saved = keras::open(file, None)?;
    keras::lower(&saved, &saved.network()?, &keras::Options::default())
}

fn npy(case: &Path, what: &str, at: usize) -> Array {
    let arrays = load(&case.join(format!("{what}_{at}.npy"))).unwrap_or_else(|error| panic!("{error}"));
    arrays.into_iter().next().unwrap().1
}
