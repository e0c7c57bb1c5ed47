//! Models quantised on the command line: how well they do, and what is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

fn flatpack(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flatpack")).args(arguments).output().unwrap()
}

fn json(arguments: &[&str]) -> serde_json::Value {
    let output = flatpack(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A shipped model, its rows, and the file to make of it.
struct Case {
    model: String,
    rows: String,
    file: String,
    folder: tempfile::TempDir,
}

impl Case {
    fn new(model: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        Self {
            model: text(example(model).join("model.h5")),
            rows: text(example(model).join("test.npz")),
            file: text(folder.path().join("model.fpk")),
            folder,
        }
    }

    fn arguments<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        let build = ["build", &self.model, "-o", &self.file, "--quantize", "int8", "--calibrate", &self.rows];
        [&build[..], options].concat()
    }
}

#[test]
fn accuracy_stays_within_half_a_percent() {
    let case = Case::new("digits_mlp");
    for io in ["float32", "int8"] {
        let options = ["--io", io, "--eval-data", &case.rows, "--max-drop", "0.005"];
        let built = json(&case.arguments(&options));
        let before = built["quantization"]["evaluation"]["before"]["accuracy"].as_f64().unwrap();
        let after = built["quantization"]["evaluation"]["after"]["accuracy"].as_f64().unwrap();
        assert!(before - after < 0.005, "{before} {after}");
        let evaluated = json(&["eval", &case.file, "--data", &case.rows]);
        assert_eq!(evaluated["accuracy"].as_f64(), Some(after));
        assert_eq!(
            json(&["inspect", &case.file])["inputs"][0]["dtype"],
            if io == "int8" { "i8" } else { "f32" }
        );
        assert_eq!(flatpack(&["verify", &case.file]).status.code(), Some(0));
    }
}

#[test]
fn the_recipe_is_in_the_file() {
    let case = Case::new("digits_mlp");
    let built = json(&case.arguments(&["--eval-data", &case.rows]));
    let meta = &json(&["inspect", &case.file])["metadata"];
    assert_eq!(meta["quantize.samples"], "497 rows of test.npz");
    assert_eq!(meta["quantize.sha256"], built["quantization"]["samples_sha256"]);
    assert!(meta["quantize.score"].as_str().unwrap().starts_with("accuracy 0.97586 → "), "{meta}");
    assert!(meta["options"].as_str().unwrap().contains("--quantize int8"), "{meta}");
}

#[test]
fn the_same_samples_give_the_same_bytes() {
    let [first, second] = [0, 1].map(|_| {
        let case = Case::new("digits_mlp");
        json(&case.arguments(&["--calibration", "mse"]));
        std::fs::read(&case.file).unwrap()
    });
    assert_eq!(first, second);
}

#[test]
fn a_drop_that_is_too_large_writes_no_file() {
    let case = Case::new("digits_mlp");
    let output = flatpack(&case.arguments(&["--eval-data", &case.rows, "--max-drop=-1"]));
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("no file was written") && stderr.contains("worst layers"), "{stderr}");
    assert_eq!(std::fs::read_dir(case.folder.path()).unwrap().count(), 0);
}

#[test]
fn raw_outputs_are_the_integers_of_the_reals() {
    let case = Case::new("digits_mlp");
    json(&case.arguments(&["--io", "int8"]));
    let folder = |name: &str| case.folder.path().join(name).to_str().unwrap().to_owned();
    let load = |name: &str| {
        let path = case.folder.path().join(name).join("output_0.npy");
        flatpack::data::load(&path).unwrap().remove(0).1
    };
    json(&["run", &case.file, "--input", &case.rows, "--out-dir", &folder("reals")]);
    json(&["run", &case.file, "--input", &case.rows, "--raw", "--out-dir", &folder("raw")]);
    let (reals, raw) = (load("reals"), load("raw"));
    assert_eq!((raw.dtype.name(), reals.dtype.name()), ("i8", "f32"));
    let tensors = json(&["inspect", &case.file]);
    let quant = &tensors["outputs"][0]["quant"];
    let scale = quant["scale"].as_f64().unwrap() as f32;
    let zero_point = quant["zero_point"].as_i64().unwrap() as f32;
    assert!(raw.values.iter().zip(&reals.values).all(|(q, r)| scale * (q - zero_point) == *r));
}

#[test]
fn quotients_are_computed_in_float32_and_the_report_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let layers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/layers/keras3/op_constants_left");
    let [model, rows, file] =
        [layers.join("model.h5"), layers.join("input_0.npy"), folder.path().join("model.fpk")]
            .map(|path| path.to_str().unwrap().to_owned());
    let built = json(&["build", &model, "-o", &file, "--quantize", "int8", "--calibrate", &rows]);
    let notes = &built["quantization"]["notes"];
    assert_eq!(notes[0], "layer `true_divide` (div) is computed in float32");
    let steps = json(&["inspect", &file, "--steps"]);
    let ops: Vec<&str> =
        steps["steps"].as_array().unwrap().iter().map(|step| step["op"].as_str().unwrap()).collect();
    assert!(ops.contains(&"div") && !ops.contains(&"div_i8"), "{ops:?}");
}
