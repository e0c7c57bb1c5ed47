//! The importer for fuzzing, and the short form of a file.

// The importer's own sources and not the crate `flatpack`, which needs tract: that takes minutes to
// build with instrumentation, and nothing of it is fuzzed here. The module around them makes
// `import/…` be looked for beside `import.rs`.
#[path = "../../src"]
mod sources {
    pub mod array;
    pub mod graph;
    pub mod import;
    pub mod quant;
}

pub use sources::{array, graph, import, quant};

use array::Array;
use import::keras::{Container, Options, Saved, Weight, Weights};
use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// What all weights of a short form may have together, in elements.
const MAX_ELEMENTS: usize = 1 << 18;

/// A model without the values of its weights, as JSON.
#[derive(Serialize, Deserialize)]
pub struct Short {
    keras_version: Option<String>,
    backend: Option<String>,
    config: Value,
    /// By layer: name and shape of each.
    weights: Vec<(String, Vec<(String, Vec<usize>)>)>,
}

impl Short {
    /// The short form of a file.
    pub fn of(saved: &Saved) -> Self {
        let shape = |weight: &Weight| (weight.name.clone(), weight.array.shape.clone());
        let groups = saved.weights.groups().iter();
        Self {
            keras_version: saved.keras_version.map(|version| version.to_string()),
            backend: saved.backend.clone(),
            config: saved.config.clone(),
            weights: groups
                .map(|(name, weights)| (name.clone(), weights.iter().map(shape).collect()))
                .collect(),
        }
    }

    /// What the importer would have read from the file; all weights are one half.
    ///
    /// `None` if the weights are too large or the version is none.
    pub fn saved(self) -> Option<Saved> {
        let mut left = MAX_ELEMENTS;
        let mut weight = |(name, shape): (String, Vec<usize>)| {
            let len = shape.iter().try_fold(1usize, |len, extent| len.checked_mul(*extent))?;
            left = left.checked_sub(len)?;
            Some(Weight::new(name, Array::new(shape, vec![0.5; len])))
        };
        let mut groups = Vec::new();
        for (name, weights) in self.weights {
            groups.push((name, weights.into_iter().map(&mut weight).collect::<Option<_>>()?));
        }
        Some(Saved {
            file: "short.h5".into(),
            container: Container::Hdf5,
            keras_version: self.keras_version.map(|text| text.parse()).transpose().ok()?,
            backend: self.backend,
            config: self.config,
            training_config: None,
            weights: Weights::new(groups),
            dropped: vec![],
            notes: vec![],
        })
    }
}

/// Imports a file, and says what is wrong with it if it is refused.
pub fn import_bytes(bytes: &[u8]) {
    let source = import::open_bytes(Path::new("model"), bytes.to_vec(), None);
    if let Err(error) = source.and_then(|source| source.graph(&Options::default())) {
        let help = error.help().map_or_else(String::new, |help| help.to_string());
        let _ = format!("{error} {error:?} {help}");
    }
}
