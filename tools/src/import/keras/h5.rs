//! HDF5 as Keras lays it out.
//!
//! A whole model has the root attributes `model_config`, `keras_version`, `backend` and
//! `training_config` and the groups `model_weights` and `optimizer_weights`; a file of weights alone
//! has in its root what a model has in `model_weights`: the attribute `layer_names`, and for each
//! layer a group whose attribute `weight_names` lists its datasets. A `.weights.h5` has [variables] in
//! their places instead.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use super::json;
use super::network::Weight;
use super::saved::{Container, Dropped, Saved, Weights};
use super::version::Version;
use super::{pickle, variables};
use crate::import::hdf5::{Attributes, File, Group};
use crate::import::numbers::Numbers;
use crate::import::{Content, Fault, ImportError};

/// Weights of a model as a whole, outside its layers (Keras 2.12 and later).
const TOP_LEVEL_WEIGHTS: &str = "top_level_model_weights";

/// Reads a whole model.
pub(super) fn model(file: &Path, bytes: Vec<u8>) -> Result<Saved, ImportError> {
    read_model(file, bytes).map_err(|fault| ImportError::in_file(file, fault))
}

fn read_model(file: &Path, bytes: Vec<u8>) -> Result<Saved, Fault> {
    let hdf5 = File::parse(bytes)?;
    let root = hdf5.root();
    let attributes = root.attributes()?;
    let Some(config_text) = attributes.text("model_config")? else {
        return Err(no_architecture(root, &attributes)?);
    };
    let config = json::parse("`model_config`", config_text.as_bytes())?;

    let mut dropped = Vec::new();
    let training_config = match attributes.text("training_config")? {
        Some(text) => {
            dropped.push(Dropped { name: "training_config".into(), bytes: text.len() as u64 });
            // Not needed to run the model, so never a reason to refuse it.
            json::parse("`training_config`", text.as_bytes()).ok()
        }
        None => None,
    };
    let mut read = Read { dropped, ..Read::default() };
    let weights = match root.group("model_weights")? {
        Some(group) => {
            for name in root.member_names()? {
                if name != "model_weights" {
                    read.drop_member(root, &name)?;
                }
            }
            read.weights(&group)?
        }
        None => read.weights(root)?,
    };
    Ok(Saved {
        file: file.to_owned(),
        container: Container::Hdf5,
        keras_version: attributes.text("keras_version")?.map(|text| text.parse()).transpose()?,
        backend: attributes.text("backend")?,
        config,
        training_config,
        weights,
        dropped: read.dropped,
        notes: read.notes.into_notes(),
    })
}

/// Reads the weights of an architecture that came as JSON.
pub(super) fn weights_for(
    file: &Path,
    architecture: Value,
    weights_file: &Path,
    bytes: Vec<u8>,
) -> Result<Saved, ImportError> {
    let text = |key: &str| architecture.get(key).and_then(Value::as_str).map(str::to_owned);
    let read_version = || text("keras_version").map(|text| text.parse()).transpose();
    let version_in_json = read_version().map_err(|fault| ImportError::in_file(file, fault))?;
    let backend_in_json = text("backend");
    let stored = match Content::of(&bytes) {
        Content::Hdf5 => read_weights(bytes),
        Content::Pickle => {
            let read = pickle::weights(&bytes);
            read.map(|(weights, read)| Stored { weights, read, ..Stored::default() })
        }
        other => Err(Fault::WrongContent {
            found: other.looks_like().into(),
            expected: "Keras weights in HDF5, or a pickled list of arrays",
            remedy: other.remedy(),
        }),
    };
    let Stored { keras_version, backend, weights, read } =
        stored.map_err(|fault| ImportError::in_file(weights_file, fault))?;
    Ok(Saved {
        file: file.to_owned(),
        container: Container::TextAndWeights,
        keras_version: version_in_json.or(keras_version),
        // Kernels are stored the way the backend that wrote *them* wants them.
        backend: backend.or(backend_in_json),
        config: architecture,
        training_config: None,
        weights,
        dropped: read.dropped,
        notes: read.notes.into_notes(),
    })
}

/// Weights, and what their file says of itself.
#[derive(Default)]
struct Stored {
    keras_version: Option<Version>,
    backend: Option<String>,
    weights: Weights,
    read: Read,
}

fn read_weights(bytes: Vec<u8>) -> Result<Stored, Fault> {
    let hdf5 = File::parse(bytes)?;
    let nested = hdf5.root().group("model_weights")?;
    let group = nested.as_ref().unwrap_or(hdf5.root());
    let mut read = Read::default();
    let weights = read.weights(group)?;
    let attributes = group.attributes()?;
    let keras_version = attributes.text("keras_version")?.map(|text| text.parse()).transpose()?;
    Ok(Stored { keras_version, backend: attributes.text("backend")?, weights, read })
}

/// What an HDF5 file is that holds no `model_config`.
fn no_architecture(root: &Group, attributes: &Attributes) -> Result<Fault, Fault> {
    let members = root.member_names()?;
    let has = |name: &str| members.iter().any(|member| member == name);
    let weights_only = |found: &str| Fault::WrongContent {
        found: found.into(),
        expected: "a whole model: architecture and weights",
        remedy: "pass the architecture too: `flatpack build model.json --weights weights.h5`, where model.json is \
                 what `model.to_json()` gives; or save the model with `model.save(\"model.h5\")`",
    };
    Ok(if attributes.texts("layer_names")?.is_some() || has("model_weights") {
        weights_only("Keras weights without an architecture (no `model_config`)")
    } else if variables::are_in(&members) {
        weights_only(
            "Keras weights without an architecture (as of `model.save_weights(\"model.weights.h5\")`)",
        )
    } else {
        Fault::WrongContent {
            found: match members.len() {
                0 => "an HDF5 file without a single group".into(),
                _ => format!(
                    "an HDF5 file with {}",
                    members.iter().take(5).map(|m| format!("`{m}`")).collect::<Vec<_>>().join(", ")
                ),
            },
            expected: "a Keras model, which has an attribute `model_config`",
            remedy: "check that this is the file `model.save(\"model.h5\")` wrote",
        }
    })
}

/// What reading weights leaves behind besides the weights.
#[derive(Default)]
pub(super) struct Read {
    pub(super) dropped: Vec<Dropped>,
    notes: Conversions,
}

impl Read {
    /// The weights in `group`, by `layer_names` and `weight_names` or by their places.
    fn weights(&mut self, group: &Group) -> Result<Weights, Fault> {
        let Some(layer_names) = group.attributes()?.texts("layer_names")? else {
            let members = group.member_names()?;
            if variables::are_in(&members) {
                return variables::read(group, self);
            }
            let found = format!("an HDF5 group with {} members and no `layer_names`", members.len());
            return Err(Fault::WrongContent {
                found,
                expected: "Keras weights, which have an attribute `layer_names`",
                remedy: "check that Keras wrote this file",
            });
        };
        let mut seen = HashSet::new();
        let mut groups = Vec::with_capacity(layer_names.len());
        for layer_name in layer_names {
            let Some(layer_group) = group.group(&layer_name)? else {
                return Err(Fault::Weights {
                    found: format!("no group for layer `{layer_name}`, which `layer_names` lists"),
                    expected: "a group for each layer".into(),
                });
            };
            // A layer listed twice is one layer used twice.
            if seen.insert(layer_name.clone()) {
                let weights = self.layer(&layer_name, &layer_group)?;
                groups.push((layer_name, weights));
            }
        }
        if group.member_names()?.iter().any(|name| name == TOP_LEVEL_WEIGHTS)
            && !seen.contains(TOP_LEVEL_WEIGHTS)
        {
            self.drop_member(group, TOP_LEVEL_WEIGHTS)?;
        }
        Ok(Weights::new(groups))
    }

    fn layer(&mut self, layer_name: &str, group: &Group) -> Result<Vec<Weight>, Fault> {
        let names = group.attributes()?.texts("weight_names")?.unwrap_or_default();
        let mut weights = Vec::with_capacity(names.len());
        for name in names {
            let Some(numbers) = group.numbers(&name)? else {
                return Err(Fault::Weights {
                    found: format!(
                        "no dataset `{name}` in the group of layer `{layer_name}`, which lists it"
                    ),
                    expected: "a dataset for each of `weight_names`".into(),
                });
            };
            weights.push(self.weight(name, numbers));
        }
        Ok(weights)
    }

    /// A weight, and whether that took a conversion.
    pub(super) fn weight(&mut self, name: String, numbers: Numbers) -> Weight {
        self.notes.count(&numbers.element.to_string(), numbers.rounded);
        Weight::new(name, numbers.array)
    }

    /// What the user should know of the weights.
    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes.into_notes()
    }

    /// Notes a group that is not read; empty ones are not worth a word.
    fn drop_member(&mut self, parent: &Group, name: &str) -> Result<(), Fault> {
        let bytes = match parent.group(name)? {
            Some(group) => group.dataset_bytes()?,
            None => 0,
        };
        if bytes > 0 {
            self.dropped.push(Dropped { name: name.to_owned(), bytes });
        }
        Ok(())
    }
}

/// Weights that were not `float32` in the file, counted by type.
#[derive(Default)]
struct Conversions(Vec<Conversion>);

struct Conversion {
    dtype: String,
    count: usize,
    rounded_count: usize,
}

impl Conversions {
    fn count(&mut self, dtype: &str, rounded: bool) {
        if dtype == "float32" {
            return;
        }
        let conversion = match self.0.iter_mut().position(|conversion| conversion.dtype == dtype) {
            Some(at) => &mut self.0[at],
            None => {
                self.0.push(Conversion { dtype: dtype.to_owned(), count: 0, rounded_count: 0 });
                self.0.last_mut().expect("just pushed")
            }
        };
        conversion.count += 1;
        conversion.rounded_count += usize::from(rounded);
    }

    fn into_notes(self) -> Vec<String> {
        self.0
            .into_iter()
            .map(|Conversion { dtype, count, rounded_count }| match rounded_count {
                0 => {
                    format!("{count} arrays of weights are {dtype}; their values are kept exactly as float32")
                }
                _ => format!(
                    "{count} arrays of weights are {dtype}; {rounded_count} of them lose digits as float32"
                ),
            })
            .collect()
    }
}
