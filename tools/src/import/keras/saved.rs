//! A saved model before its layers are looked at: architecture as JSON, weights by layer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::map::LayerMap;
use super::network::{Network, Weight};
use super::version::{Dialect, Version};
use super::{archive, assign, code, graph, h5, json, layers, pickle, saved_model, stored, yaml};
use crate::array::Array;
use crate::import::saved_model::{Files, SavedModel};
use crate::import::{Content, Fault, ImportError, compressed};

/// The kind of file or files a model came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// One HDF5 file with architecture and weights.
    Hdf5,
    /// The architecture as text, the weights as HDF5 or as a pickle.
    TextAndWeights,
    /// The zip archive of Keras 2.13 and later, as of `model.save("model.keras")`.
    Archive,
    /// A Python pickle that holds one of the others.
    Pickle,
    /// The folder of TensorFlow, as of `model.save("folder")` of tf.keras, or an archive of one.
    SavedModel,
}

impl Container {
    /// The name that reports and metadata give it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hdf5 => "HDF5",
            Self::TextAndWeights => "architecture and weights",
            Self::Archive => ".keras",
            Self::Pickle => "pickle",
            Self::SavedModel => "SavedModel",
        }
    }
}

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The file with the architecture.
    pub file: PathBuf,
    /// The kind of file.
    pub container: Container,
    /// The Keras that wrote it; files without one are judged by their words.
    pub keras_version: Option<Version>,
    /// The backend Keras ran on: `tensorflow`, `theano`, …
    pub backend: Option<String>,
    /// The architecture, as the file spells it.
    pub config: Value,
    /// Loss, optimizer and metrics, as the file spells them.
    pub training_config: Option<Value>,
    /// The weights, layer by layer.
    pub weights: Weights,
    /// What the file holds and flatpack has no use for.
    pub dropped: Vec<Dropped>,
    /// What the user should know, such as rounded weights.
    pub notes: Vec<String>,
}

impl Saved {
    /// How the file spells things: by the version that wrote it, else by its words.
    ///
    /// # Errors
    /// When the version is one that is yet to come.
    pub fn dialect(&self) -> Result<Dialect, Fault> {
        Dialect::of(self.keras_version, &self.config)
    }

    /// The layers, their calls and their weights.
    ///
    /// # Errors
    /// When the architecture is not what Keras writes, or the weights do not fit it.
    pub fn network(&self) -> Result<Network, ImportError> {
        self.mapped_network(None).map(|(network, _)| network)
    }

    /// [`Self::network`], where a map has something in place of layers, with notes on that.
    ///
    /// # Errors
    /// As of [`Self::network`], or when the map does not fit the layers.
    pub fn mapped_network(&self, map: Option<&LayerMap>) -> Result<(Network, Vec<String>), ImportError> {
        let dialect = self.dialect().map_err(|fault| ImportError::in_file(&self.file, fault))?;
        let (mut network, notes) = graph::network(&self.file, dialect, &self.config, map)?;
        // Where weights do not fit, a layer that is none of Keras' is the likelier reason.
        assign::weights(&self.file, dialect, &mut network, &self.weights).map_err(|error| {
            layers::refused(&self.file, "", &network.layers).into_iter().next().unwrap_or(error)
        })?;
        let writer = stored::Writer { dialect, backend: self.backend.as_deref() };
        stored::to_keras3(&self.file, writer, &mut network.layers)?;
        Ok((network, notes))
    }
}

/// Weights in the order of the file, in groups.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    groups: Vec<(String, Vec<Weight>)>,
    keys: Keys,
}

/// What groups of weights are called by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// Names of layers.
    #[default]
    Names,
    /// Places of layers among the attributes of the model, such as
    /// `layers/bidirectional/forward_layer/cell`.
    Places,
    /// Nothing: there is one group, layer after layer.
    None,
}

impl Weights {
    /// Weights by layer name, in the order of the model's layers.
    pub fn new(groups: Vec<(String, Vec<Weight>)>) -> Self {
        Self { groups, keys: Keys::Names }
    }

    /// Weights by the place of their layer.
    pub fn by_path(groups: Vec<(String, Vec<Weight>)>) -> Self {
        Self { groups, keys: Keys::Places }
    }

    /// All weights, layer after layer, as of `model.get_weights()`.
    pub fn in_order(weights: Vec<Weight>) -> Self {
        Self { groups: vec![(String::new(), weights)], keys: Keys::None }
    }

    /// What the groups are called by.
    pub fn keys(&self) -> Keys {
        self.keys
    }

    /// Each layer's name or place and its weights. Under a name, the weights of a nested model are all
    /// trainable ones in layer order, then all others.
    pub fn groups(&self) -> &[(String, Vec<Weight>)] {
        &self.groups
    }

    /// The weights under `name`.
    pub fn group(&self, name: &str) -> Option<&[Weight]> {
        self.groups.iter().find(|(group, _)| group == name).map(|(_, weights)| weights.as_slice())
    }
}

impl Weight {
    /// A weight of its own array.
    pub fn new(name: impl Into<String>, array: Array) -> Self {
        Self { name: name.into(), array: Arc::new(array) }
    }
}

/// Something in the file that is not needed to run the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its name in the file, such as `optimizer_weights`.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// Reads the model in `path`; where that is JSON, its weights are in `weights`.
///
/// The bytes decide what a file is, not its name.
///
/// # Errors
/// When a file cannot be read, is no Keras model, is damaged, or lacks a part: weights without an
/// architecture, or the other way round.
pub fn open(path: &Path, weights: Option<&Path>) -> Result<Saved, ImportError> {
    open_bytes(path, read(path)?, weights)?.described(path)
}

/// [`open`], once the bytes are read.
pub(crate) fn open_bytes(path: &Path, bytes: Vec<u8>, weights: Option<&Path>) -> Result<Opened, ImportError> {
    let opened = match (Content::of(&bytes), weights) {
        (Content::Pickle, None) => pickle::model(path, &bytes).map(Opened::from),
        (Content::Json | Content::Yaml, Some(weights)) => {
            let architecture = architecture(&bytes).map_err(|fault| ImportError::in_file(path, fault))?;
            h5::weights_for(path, architecture, weights, read(weights)?).map(Opened::from)
        }
        (content @ (Content::Json | Content::Yaml), None) => Err(ImportError::in_file(
            path,
            Fault::WrongContent {
                found: format!("an architecture without weights ({})", content.looks_like()),
                expected: "a model",
                remedy: "pass its weights too: `flatpack build model.json --weights weights.h5`",
            },
        )),
        (Content::Hdf5 | Content::Zip | Content::Tar | Content::Pickle, Some(_)) => {
            Err(ImportError::in_file(
                path,
                Fault::WrongContent {
                    found: Content::of(&bytes).looks_like().into(),
                    expected: "the architecture as JSON or YAML, since weights are given apart",
                    remedy: "a model in one file holds its own weights: leave `--weights` out",
                },
            ))
        }
        _ => open_model(path, bytes),
    };
    opened.map(Opened::noted)
}

/// What a file or folder holds.
pub(crate) enum Opened {
    /// A model as Keras describes it.
    Described(Box<Saved>),
    /// Functions of TensorFlow, and no description.
    Functions(Files),
}

impl From<Saved> for Opened {
    fn from(saved: Saved) -> Self {
        Self::Described(Box::new(saved))
    }
}

impl Opened {
    /// The files of a SavedModel.
    pub(crate) fn of_files(path: &Path, files: Files) -> Result<Self, ImportError> {
        let described = SavedModel::parse(&files).and_then(|saved| saved_model::model(path, &saved));
        let described = described.map_err(|fault| ImportError::in_file(path, fault))?;
        Ok(described.map_or(Self::Functions(files), Self::from))
    }

    /// With the notes that the words of the file call for.
    pub(crate) fn noted(self) -> Self {
        let Self::Described(mut saved) = self else { return self };
        saved.notes.extend(note_on_kernels(&saved));
        saved.notes.extend(code::notes(&saved.config));
        Self::Described(saved)
    }

    fn described(self, path: &Path) -> Result<Saved, ImportError> {
        match self {
            Self::Described(saved) => Ok(*saved),
            Self::Functions(_) => Err(ImportError::in_file(
                path,
                Fault::WrongContent {
                    found: "a SavedModel without Keras' description of its layers".into(),
                    expected: "a model that Keras describes",
                    remedy: "in Python, load the model and save it with `model.save(\"model.keras\")`",
                },
            )),
        }
    }
}

/// A model that is a file of its own, also inside of another one.
fn open_model(path: &Path, bytes: Vec<u8>) -> Result<Opened, ImportError> {
    let at = |fault| ImportError::in_file(path, fault);
    match Content::of(&bytes) {
        Content::Hdf5 => h5::model(path, bytes).map(Opened::from),
        content @ (Content::Zip | Content::Tar) => match Files::in_archive(&bytes).map_err(at)? {
            Some(files) => Opened::of_files(path, files),
            None if content == Content::Zip => archive::model(path, &bytes).map(Opened::from),
            None => Err(at(Fault::WrongContent {
                found: "a tar archive without `saved_model.pb`".into(),
                expected: "a SavedModel",
                remedy: "unpack it and pass the model inside",
            })),
        },
        other => Err(at(Fault::WrongContent {
            found: other.looks_like().into(),
            expected: "a Keras model (.keras, .h5 or a pickle), a SavedModel, or a .tflite file",
            remedy: other.remedy(),
        })),
    }
}

/// A model inside of another file, that Keras describes.
pub(super) fn open_inside(path: &Path, bytes: Vec<u8>) -> Result<Saved, ImportError> {
    open_model(path, bytes)?.described(path)
}

/// The bytes of a file, unpacked where they are compressed as a whole.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ImportError> {
    let bytes = fs::read(path).map_err(Fault::from).and_then(compressed::unpacked);
    bytes.map_err(|fault| ImportError::in_file(path, fault))
}

/// The JSON of `model.to_json()`, also where it was written as a JSON string once more, or the YAML of
/// `model.to_yaml()`.
fn architecture(bytes: &[u8]) -> Result<Value, Fault> {
    const WHAT: &str = "the architecture";
    let value = match Content::of(bytes) {
        Content::Yaml => yaml::parse(bytes)?,
        _ => match json::parse(WHAT, bytes)? {
            Value::String(text) => json::parse(WHAT, text.as_bytes())?,
            value => value,
        },
    };
    if value.get("class_name").is_none() {
        return Err(Fault::WrongContent {
            found: "text without `class_name`".into(),
            expected: "the architecture of a Keras model",
            remedy: "check that this is what `model.to_json()` or `model.to_yaml()` gave",
        });
    }
    Ok(value)
}

/// Theano mirrors its kernels. Keras 1 does not say whether it ran on Theano, which channels first
/// suggest.
fn note_on_kernels(saved: &Saved) -> Option<String> {
    fn is_channels_first(value: &Value) -> bool {
        match value {
            Value::Object(map) => {
                map.get("dim_ordering").is_some_and(|ordering| ordering == "th")
                    || map.values().any(is_channels_first)
            }
            Value::Array(values) => values.iter().any(is_channels_first),
            _ => false,
        }
    }
    let unsaid = saved.keras_version.is_some_and(|version| version.major == 1) && saved.backend.is_none();
    (unsaid && is_channels_first(&saved.config)).then(|| {
        "the file does not say which backend wrote its kernels; they are taken for TensorFlow's, and Theano's would be \
         mirrored: compare some predictions"
            .to_owned()
    })
}
