//! Compares every step of the integer models of MLPerf Tiny, and of person_detect, with what
//! TensorFlow Lite Micro's reference kernels compute, by the hashes of `tflm_layers.json`.
//!
//!     cargo run --release -p flatpack --example layer_hashes -- CORPUS
//!
//! CORPUS has folders `open/tl_kws_int8`, `open/tl_resnet8_int8`, `open/tl_ad01_int8` and
//! `open/tl_person_detect_int8` with a `model.tflite` each.

use flatpack::build::{self, Goldens, Options};
use flatpack::import;
use flatpack_format::{Block, Model};
use flatpack_runtime::{Progress, Session, ops};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

const MODELS: [(&str, &str); 4] = [
    ("kws", "tl_kws_int8"),
    ("resnet", "tl_resnet8_int8"),
    ("ad", "tl_ad01_int8"),
    ("person_detect", "tl_person_detect_int8"),
];

fn main() -> ExitCode {
    let Some(corpus) = std::env::args().nth(1) else {
        eprintln!("usage: layer_hashes CORPUS");
        return ExitCode::from(2);
    };
    let told: serde_json::Value =
        serde_json::from_str(include_str!("tflm_layers.json")).expect("the file is JSON");
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, folder) in MODELS {
        let path = Path::new(&corpus).join("open").join(folder).join("model.tflite");
        if !path.is_file() {
            println!("skipped: there is no {}", path.display());
            skipped += 1;
            continue;
        }
        for (input, bytes) in [("A", input_a as fn(usize) -> Vec<u8>), ("B", input_b)] {
            let wanted: Vec<String> = serde_json::from_value(told["layers"][name][input].clone())
                .expect("the file has the hashes of each model");
            match compare(&path, bytes, &wanted) {
                Ok(layers) => {
                    println!("{name}, input {input}: {layers} layers equal TensorFlow Lite Micro");
                    passed += 1;
                }
                Err(error) => {
                    println!("FAILED: {name}, input {input}: {error}");
                    failed += 1;
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    ExitCode::from(u8::from(failed > 0))
}

/// Byte i is 7i + 3.
fn input_a(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + 3) as u8).collect()
}

/// The high bytes of a linear congruential generator.
fn input_b(len: usize) -> Vec<u8> {
    let states = std::iter::successors(Some(12_345u32), |s| {
        Some(s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
    });
    states.skip(1).take(len).map(|s| (s >> 24) as u8).collect()
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Runs the model step by step. Every hash must be that of a step, and every step's that of a layer;
/// a reshape is no step, but has the hash of the layer before it.
fn compare(path: &Path, input: fn(usize) -> Vec<u8>, wanted: &[String]) -> Result<usize, Box<dyn Error>> {
    let (graph, _) = import::open(path, None)?.graph(&import::keras::Options::default())?;
    let options = Options { goldens: Goldens::Predicted(0), strip: false, ..Options::default() };
    let built = build::build(graph, &options)?;
    let model = Model::parse(built.bytes())?;
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory))?;
    let bytes = session.input_bytes(0).ok_or("no input")?;
    let values = input(bytes.len());
    bytes.copy_from_slice(&values);
    let wanted: BTreeSet<u32> =
        wanted.iter().map(|hash| u32::from_str_radix(hash, 16)).collect::<Result<_, _>>()?;
    let mut found = BTreeSet::new();
    loop {
        let step = model.step(session.next_step()).ok_or("no such step")?;
        let progress = session.step()?;
        let output = step.output().ok_or("a step without output")?;
        let hash = fnv1a(session.bytes(output).ok_or("an output without memory")?);
        if !wanted.contains(&hash) {
            let name = model.step_name(step.number()).unwrap_or_default();
            return Err(format!("step {} ({name}) computes something else", step.number()).into());
        }
        found.insert(hash);
        if progress == Progress::Done {
            break;
        }
    }
    match wanted.difference(&found).count() {
        0 => Ok(wanted.len()),
        missing => Err(format!("{missing} layers are no step's result").into()),
    }
}
