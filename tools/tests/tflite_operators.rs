//! Operators of TensorFlow Lite on float32, one by one, against what TensorFlow Lite computes.

use flatpack::array::Array;
use flatpack::build::{self, Goldens, Options};
use flatpack::data;
use flatpack::import::tflite::Saved;
use flatpack_format::{Block, Model};
use flatpack_runtime::{Session, ops};
use std::collections::BTreeMap;
use std::path::Path;

/// A case: what its arrays are named, without the number.
type Case = BTreeMap<String, Array>;

fn cases() -> BTreeMap<String, Case> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tflite_operators/operators.npz");
    let mut cases = BTreeMap::<String, Case>::new();
    for (name, array) in data::load(&file).unwrap() {
        let (number, name) = name.split_once('_').unwrap();
        cases.entry(number.to_owned()).or_default().insert(name.to_owned(), array);
    }
    cases
}

fn numbered(case: &Case, side: &str) -> Vec<Array> {
    (0..).map_while(|number| case.get(&format!("{side}_{number}")).cloned()).collect()
}

/// The largest difference from what is expected, relative to 1 and the largest magnitude.
fn run(case: &Case) -> Result<f32, String> {
    let bytes = case["model"].values.iter().map(|&byte| byte as u8).collect();
    let graph = Saved { file: "model.tflite".into(), bytes }.lower().map_err(|error| error.to_string())?;
    let options = Options { goldens: Goldens::Predicted(1), ..Options::default() };
    let built = build::build(graph, &options).map_err(|error| error.to_string())?;
    let model = Model::parse(built.bytes()).map_err(|error| error.to_string())?;
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let memory = Block::bytes_mut(&mut memory);
    let mut session = Session::load(model, ops::ALL, memory).map_err(|error| error.to_string())?;
    for (number, input) in numbered(case, "input").iter().enumerate() {
        session.input::<f32>(number).unwrap().copy_from_slice(&input.values);
    }
    session.run().map_err(|error| error.to_string())?;
    let mut worst = 0.0f32;
    for (number, expected) in numbered(case, "output").iter().enumerate() {
        let output = session.output::<f32>(number).unwrap();
        if output.len() != expected.len() {
            return Err(format!("{} elements of {:?}", output.len(), expected.shape));
        }
        let largest = expected.values.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
        for (found, expected) in output.iter().zip(&expected.values) {
            let apart = (found - expected).abs() / largest;
            worst = if apart.is_nan() { f32::INFINITY } else { worst.max(apart) };
        }
    }
    Ok(worst)
}

#[test]
fn each_operator_gives_what_tensorflow_lite_computes() {
    let cases = cases();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for (number, case) in &cases {
        match run(case) {
            Ok(apart) if apart <= 1e-5 => {}
            Ok(apart) => wrong.push(format!("{number}: {apart} apart")),
            Err(error) => wrong.push(format!("{number}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
