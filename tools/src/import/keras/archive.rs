//! The `.keras` archive of Keras 2.13 and later.
//!
//! A zip with `config.json`, the architecture; `metadata.json`, which says what wrote it; and
//! `model.weights.h5`, [variables](super::variables) in their places. Below `assets/`, in the places of their
//! layers, are the vocabularies that layers learned; those of texts belong to layers that are not read.

use std::path::Path;

use serde_json::Value;

use super::h5::Read;
use super::json;
use super::layers::within_float32;
use super::network::Weight;
use super::saved::{Container, Dropped, Saved, Weights};
use super::variables;
use crate::array::Array;
use crate::import::archive::Archive;
use crate::import::hdf5::File;
use crate::import::{Fault, ImportError};

const CONFIG: &str = "config.json";
const METADATA: &str = "metadata.json";
const WEIGHTS: &str = "model.weights.h5";

/// No architecture is as large: a thousand layers take a megabyte.
const MAX_JSON_BYTES: u64 = 16 << 20;

/// Reads a model.
pub(super) fn model(file: &Path, bytes: &[u8]) -> Result<Saved, ImportError> {
    read_model(file, bytes).map_err(|fault| ImportError::in_file(file, fault))
}

fn read_model(file: &Path, bytes: &[u8]) -> Result<Saved, Fault> {
    let mut archive = Archive::parse(bytes)?;
    let (Some(config), true) = (archive.read(CONFIG, MAX_JSON_BYTES)?, archive.has(WEIGHTS)) else {
        return Err(no_model(&archive));
    };
    let config = json::parse("`config.json`", &config)?;
    let metadata = match archive.read(METADATA, MAX_JSON_BYTES)? {
        Some(text) => json::parse("`metadata.json`", &text)?,
        None => Value::Null,
    };
    let version = metadata.get("keras_version").and_then(Value::as_str);
    let keras_version = version.map(str::parse).transpose()?;

    let mut read = Read::default();
    let weights = archive.read(WEIGHTS, u64::MAX)?.unwrap_or_default();
    let hdf5 = File::unpacked(weights, bytes.len() as u64)?;
    let mut groups = variables::read(hdf5.root(), &mut read)?.groups().to_vec();
    groups.extend(vocabularies(&mut archive)?);

    let training_config = config.get("compile_config").filter(|config| !config.is_null()).cloned();
    let mut dropped = std::mem::take(&mut read.dropped);
    if let Some(training) = &training_config {
        dropped
            .insert(0, Dropped { name: "compile_config".into(), bytes: training.to_string().len() as u64 });
    }
    Ok(Saved {
        file: file.to_owned(),
        container: Container::Archive,
        keras_version,
        backend: None,
        config,
        training_config,
        weights: Weights::by_path(groups),
        dropped,
        notes: read.into_notes(),
    })
}

/// The vocabularies of integers that layers learned from data, each as an array in the place of its layer.
fn vocabularies(archive: &mut Archive<'_>) -> Result<Vec<(String, Vec<Weight>)>, Fault> {
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    let mut found = Vec::new();
    for name in names {
        let path = name.replace('\\', "/");
        let place = path.strip_prefix("assets/").and_then(|path| path.strip_suffix("/vocabulary.txt"));
        let Some(place) = place else { continue };
        let Some(text) = archive.read(&name, MAX_JSON_BYTES)? else { continue };
        let lines = std::str::from_utf8(&text).unwrap_or_default().lines();
        let Ok(tokens) = lines.map(|line| line.trim().parse()).collect::<Result<Vec<i64>, _>>() else {
            continue;
        };
        within_float32(&tokens)?;
        let array = Array::new([tokens.len()], tokens.into_iter().map(|token| token as f32).collect());
        found.push((place.to_owned(), vec![Weight::new(path, array)]));
    }
    Ok(found)
}

/// What a zip archive is that holds no model of Keras.
fn no_model(archive: &Archive<'_>) -> Fault {
    let names: Vec<&str> = archive.names().collect();
    let has = |name: &str| names.contains(&name);
    let file_in = |name: &str| names.iter().copied().find(|path| path.rsplit('/').next() == Some(name));
    let ending = |endings: &[&str]| {
        names.iter().copied().find(|name| endings.iter().any(|ending| name.ends_with(ending)))
    };
    let (found, remedy) = if has("model.weights.npz") {
        (
            "a .keras archive with its weights in `model.weights.npz`, which holds Python pickles,"
                .to_owned(),
            "in Python, load the model and save it with `model.save(\"model.keras\")`",
        )
    } else if has("model.weights.json") {
        (
            "a .keras archive with its weights in several files".to_owned(),
            "in Python, load the model and save it with `model.save(\"model.keras\")`, without `max_shard_size`",
        )
    } else if has(CONFIG) {
        (
            "a zip archive with `config.json` and without `model.weights.h5`".to_owned(),
            "save the whole model with `model.save(\"model.keras\")`",
        )
    } else if has(WEIGHTS) {
        (
            "a zip archive with `model.weights.h5` and without `config.json`".to_owned(),
            "save the whole model with `model.save(\"model.keras\")`",
        )
    } else if let Some(path) = file_in(CONFIG).filter(|_| file_in(WEIGHTS).is_some()) {
        (
            format!("a zip archive with an unpacked .keras archive, whose `config.json` is `{path}`,"),
            "pack its files again without the folder around them",
        )
    } else if file_in("data.pkl").is_some() {
        (
            "a PyTorch model: a zip archive with `data.pkl`, a Python pickle,".to_owned(),
            "flatpack reads models of Keras and TensorFlow Lite: build the model in Keras and copy the weights",
        )
    } else if !names.is_empty() && names.iter().all(|name| name.ends_with(".npy")) {
        (
            "a NumPy archive (.npz) of arrays".to_owned(),
            "arrays are data, as for `--calibrate` or `eval --data`: pass the model itself",
        )
    } else if let Some(path) = ending(&[".keras", ".h5", ".hdf5", ".tflite"]) {
        (format!("a zip archive with `{path}`"), "unpack it and pass the file inside")
    } else {
        let sample: Vec<String> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
        let found = match sample.as_slice() {
            [] => "an empty zip archive".to_owned(),
            _ => format!("a zip archive with {}", sample.join(", ")),
        };
        (found, "check that this is the file `model.save(\"model.keras\")` wrote")
    };
    Fault::WrongContent {
        found,
        expected: "a Keras model: a zip archive with `config.json` and `model.weights.h5`",
        remedy,
    }
}
