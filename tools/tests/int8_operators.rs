//! Operators on 8-bit integers, one by one and bit for bit, against what TensorFlow Lite Micro computes:
//! every case of `data/int8` is read, built and run.

use flatpack::array::Array;
use flatpack::build::{self, Goldens, Options};
use flatpack::data;
use flatpack::import::tflite::Saved;
use flatpack_format::{Block, DType, Model};
use flatpack_runtime::{Session, ops};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A case: what its arrays are named, without the number.
type Case = BTreeMap<String, Array>;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/int8");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "npz")).collect();
    files.sort();
    files
}

fn cases(file: &Path) -> BTreeMap<String, Case> {
    let mut cases = BTreeMap::<String, Case>::new();
    for (name, array) in data::load(file).unwrap() {
        let (number, name) = name.split_once('_').unwrap();
        cases.entry(number.to_owned()).or_default().insert(name.to_owned(), array);
    }
    cases
}

fn numbered(case: &Case, side: &str) -> Vec<Array> {
    (0..).map_while(|number| case.get(&format!("{side}_{number}")).cloned()).collect()
}

/// Runs all invocations of a case in one session.
fn run(case: &Case) -> Result<(), String> {
    let bytes = case["model"].values.iter().map(|&byte| byte as u8).collect();
    let graph = Saved { file: "model.tflite".into(), bytes }.lower().map_err(|error| error.to_string())?;
    let options = Options { goldens: Goldens::Predicted(1), ..Options::default() };
    let built = build::build(graph, &options).map_err(|error| error.to_string())?;
    let model = Model::parse(built.bytes()).map_err(|error| error.to_string())?;
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let memory = Block::bytes_mut(&mut memory);
    let mut session = Session::load(model, ops::ALL, memory).map_err(|error| error.to_string())?;
    let (inputs, outputs) = (numbered(case, "input"), numbered(case, "output"));
    for invocation in 0..outputs[0].shape[0] {
        for (number, (input, tensor)) in inputs.iter().zip(model.inputs()).enumerate() {
            let given = stored(of(input, invocation), tensor.dtype());
            let to = session.input_bytes(number).unwrap();
            if to.len() != given.len() {
                return Err(format!("input {number} has {} bytes, expected {}", to.len(), given.len()));
            }
            to.copy_from_slice(&given);
        }
        session.run().map_err(|error| error.to_string())?;
        for (number, (output, tensor)) in outputs.iter().zip(model.outputs()).enumerate() {
            let expected = stored(of(output, invocation), tensor.dtype());
            let found = session.output_bytes(number).unwrap();
            if found != expected {
                let at = found.iter().zip(&expected).position(|(a, b)| a != b);
                return Err(format!("invocation {invocation}: output {number} differs at byte {at:?}"));
            }
        }
    }
    Ok(())
}

/// The values of one invocation.
fn of(array: &Array, invocation: usize) -> &[f32] {
    let len = array.len() / array.shape[0];
    &array.values[invocation * len..(invocation + 1) * len]
}

/// Values as the bytes of a tensor.
fn stored(values: &[f32], dtype: DType) -> Vec<u8> {
    match dtype {
        DType::I8 => values.iter().map(|&value| value as i8 as u8).collect(),
        DType::U8 => values.iter().map(|&value| value as u8).collect(),
        DType::I16 => values.iter().flat_map(|&value| (value as i16).to_le_bytes()).collect(),
        DType::I32 => values.iter().flat_map(|&value| (value as i32).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|&value| value.to_le_bytes()).collect(),
    }
}

#[test]
fn each_operator_gives_the_bits_of_tensorflow_lite_micro() {
    let mut wrong = Vec::new();
    for file in files() {
        let operator = file.file_stem().unwrap().to_string_lossy().into_owned();
        let cases = cases(&file);
        let failed: Vec<String> = cases
            .iter()
            .filter_map(|(number, case)| run(case).err().map(|error| format!("{operator} {number}: {error}")))
            .collect();
        if !failed.is_empty() {
            wrong.push(format!("{operator}: {} of {}", cases.len() - failed.len(), cases.len()));
            wrong.extend(failed.into_iter().take(3));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
