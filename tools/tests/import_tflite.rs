//! Reading `.tflite` files: whole ones, cut ones, and ones with wrong bytes.
//!
//! The models are those of `data/int8`: one operator each, written with the published schema.
//! `FLATPACK_MUTATIONS` says how many times each is read with wrong bytes.

mod mutations;

use flatpack::data;
use flatpack::import::tflite::{Model, OperatorCode, Saved};
use mutations::mutated;
use std::path::Path;
use std::sync::LazyLock;

/// Names and bytes of all models.
static MODELS: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/int8");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "npz")).collect();
    files.sort();
    let mut models = Vec::new();
    for file in files {
        let operator = file.file_stem().unwrap().to_string_lossy().into_owned();
        let arrays = data::load(&file).unwrap();
        for (name, array) in arrays.into_iter().filter(|(name, _)| name.ends_with("_model")) {
            let bytes = array.values.iter().map(|&byte| byte as u8).collect();
            models.push((format!("{operator} {name}"), bytes));
        }
    }
    assert!(models.len() > 1_000, "{} models", models.len());
    models
});

/// The first model of each operator.
fn first_models() -> impl Iterator<Item = &'static (String, Vec<u8>)> {
    MODELS.iter().filter(|(name, _)| name.ends_with("00_model"))
}

#[test]
fn each_model_has_its_operator_and_tensors() {
    for (name, bytes) in MODELS.iter() {
        let model = Model::read(bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!((model.version, model.subgraphs.len()), (3, 1), "{name}");
        let graph = &model.subgraphs[0];
        assert!(!graph.inputs.is_empty() && !graph.outputs.is_empty(), "{name}");
        let expected = match name.split(' ').next().unwrap() {
            "conv_1d" => "CONV_2D".to_owned(),
            // Models of many operators.
            "scales" => graph.operators[0].code.name(),
            other => other.trim_end_matches("_words").to_uppercase(),
        };
        let codes: Vec<String> = graph.operators.iter().map(|operator| operator.code.name()).collect();
        assert!(codes.contains(&expected), "{name}: {codes:?}");
        assert!(
            graph.operators.iter().all(|operator| matches!(operator.code, OperatorCode::Builtin(_))),
            "{name}"
        );
        for tensor in &graph.tensors {
            let elements: i32 = tensor.shape.iter().product();
            let size = match tensor.element_type.name() {
                "float32" | "int32" => 4,
                "int16" => 2,
                _ => 1,
            };
            let stored = tensor.data.map_or(elements as usize * size, <[u8]>::len);
            assert_eq!(stored, elements as usize * size, "{name}: {}", tensor.name);
        }
    }
}

/// Makes a graph of a file, or says why not.
fn lower(bytes: Vec<u8>) -> Result<(), String> {
    match (Saved { file: "model.tflite".into(), bytes }).lower() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error} {:?}", error.fault.remedy())),
    }
}

#[test]
fn a_file_cut_anywhere_gives_a_model_or_a_fault() {
    for (name, bytes) in first_models() {
        let whole = (0..bytes.len()).filter(|&end| lower(bytes[..end].to_vec()).is_ok()).count();
        // Only what nothing refers to may be missing.
        assert!(whole < 16, "{name}: {whole} cut files were read");
    }
}

#[test]
fn wrong_bytes_give_a_graph_or_a_fault() {
    let mutations = std::env::var("FLATPACK_MUTATIONS").ok().and_then(|count| count.parse().ok());
    let mutations = mutations.unwrap_or(200);
    for (name, whole) in first_models() {
        let read = (0..mutations).filter(|&number| lower(mutated(whole, 1, number)).is_ok()).count();
        assert!((read as u64) < mutations, "{name}: every change was overlooked");
    }
}
