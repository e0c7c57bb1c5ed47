//! A file with a model of any kind that is read.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::keras::{self, Dropped, Opened, Options};
use super::saved_model::{self, Files, SavedModel};
use super::survey::Surveyed;
use super::{Content, Fault, ImportError, tflite};
use crate::graph::Graph;

/// A model as a file holds it.
#[derive(Clone, Debug)]
pub enum Source {
    /// Saved by Keras.
    Keras(Box<keras::Saved>),
    /// Converted for TensorFlow Lite.
    TfLite(tflite::Saved),
    /// Functions of TensorFlow.
    SavedModel(SavedGraphs),
}

/// A SavedModel that is read by its functions.
#[derive(Clone, Debug)]
pub struct SavedGraphs {
    /// The folder, or the archive of one.
    pub file: PathBuf,
    files: Files,
}

/// Where a graph comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The kind of file, such as `HDF5`.
    pub format: &'static str,
    /// What wrote it, as far as it says.
    pub writer: Option<String>,
    /// What the graph was made of: `layers` or `operators`.
    pub unit: &'static str,
    /// How many of them.
    pub units: usize,
    /// Number of values in all weights.
    pub parameters: u64,
    /// Names of the classes, one a line, in the order of the first output's elements.
    pub labels: Option<String>,
    /// What the file holds and flatpack has no use for.
    pub dropped: Vec<Dropped>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Reads the model in `path`; where that is an architecture alone, its weights are in `weights`.
///
/// The bytes decide what a file is, not its name.
///
/// # Errors
/// When a file cannot be read, is no model, is damaged, or lacks a part.
pub fn open(path: &Path, weights: Option<&Path>) -> Result<Source, ImportError> {
    if path.is_dir() {
        if weights.is_some() {
            return Err(ImportError::in_file(
                path,
                Fault::WrongContent {
                    found: "a folder".into(),
                    expected: "the architecture as JSON or YAML, since weights are given apart",
                    remedy: "a SavedModel holds its own weights: leave `--weights` out",
                },
            ));
        }
        return Ok(Source::of(path, Opened::of_files(path, folder(path)?)?.noted()));
    }
    open_bytes(path, keras::read(path)?, weights)
}

/// [`open`], where the bytes of the file are there.
///
/// # Errors
/// As of [`open`].
pub fn open_bytes(path: &Path, bytes: Vec<u8>, weights: Option<&Path>) -> Result<Source, ImportError> {
    let at = |fault| ImportError::in_file(path, fault);
    if Content::of(&bytes) != Content::TfLite {
        return Ok(Source::of(path, keras::open_bytes(path, bytes, weights)?));
    }
    if weights.is_some() {
        return Err(at(Fault::WrongContent {
            found: "a TensorFlow Lite model".into(),
            expected: "the architecture as JSON or YAML, since weights are given apart",
            remedy: "a .tflite file holds its own weights: leave `--weights` out",
        }));
    }
    Ok(Source::TfLite(tflite::Saved { file: path.to_owned(), bytes }))
}

fn no_signatures() -> Fault {
    Fault::Unsupported {
        what: "`--signature` with a file that is no SavedModel".into(),
        remedy: "it has one model: leave the option out".into(),
    }
}

fn no_layers() -> Fault {
    Fault::Unsupported {
        what: "`--map` with a file that holds operators and no layers of Keras".into(),
        remedy: "operators need no map, their code is in the file: leave the option out".into(),
    }
}

/// The SHA-256 of a model, in hexadecimal digits: that of the file, or of all files of a SavedModel that are
/// read, one after the other in the order of their names.
///
/// # Errors
/// When a file cannot be read.
pub fn sha256(path: &Path) -> Result<String, ImportError> {
    let mut hash = Sha256::new();
    match Files::in_folder(path).map_err(|fault| ImportError::in_file(path, fault))? {
        Some(files) => files.contents().for_each(|content| hash.update(content)),
        None => hash.update(fs::read(path).map_err(|error| ImportError::in_file(path, error.into()))?),
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The files of the SavedModel in a folder.
fn folder(path: &Path) -> Result<Files, ImportError> {
    let at = |fault| ImportError::in_file(path, fault);
    Files::in_folder(path).map_err(at)?.ok_or_else(|| {
        at(Fault::WrongContent {
            found: "a folder without `saved_model.pb`".into(),
            expected: "a model, or the folder of a SavedModel",
            remedy: "pass the file or the folder that `model.save` or `model.export` wrote",
        })
    })
}

impl SavedGraphs {
    /// A SavedModel that Keras describes, read by its functions nevertheless. `None` where it is none.
    fn of(file: &Path) -> Result<Option<Self>, ImportError> {
        let files = match file.is_dir() {
            true => Some(folder(file)?),
            false => {
                Files::in_archive(&keras::read(file)?).map_err(|fault| ImportError::in_file(file, fault))?
            }
        };
        Ok(files.map(|files| Self { file: file.to_owned(), files }))
    }

    fn graph(&self, options: &Options) -> Result<(Graph, Origin), ImportError> {
        let at = |fault| ImportError::in_file(&self.file, fault);
        let saved = SavedModel::parse(&self.files).map_err(at)?;
        let graph = saved_model::lower(&self.file, &saved, options)?;
        let constants = graph.tensors.iter().filter_map(|tensor| tensor.data.as_ref());
        let origin = Origin {
            format: "SavedModel",
            writer: saved.tensorflow_version().map(|version| format!("TensorFlow {version}")),
            unit: "operators",
            units: graph.nodes.len(),
            parameters: constants.map(|data| data.len() as u64).sum(),
            labels: None,
            dropped: Vec::new(),
            notes: vec!["read from the graph of a signature, not from Keras' description".into()],
        };
        Ok((graph, origin))
    }
}

impl Source {
    fn of(path: &Path, opened: Opened) -> Self {
        match opened {
            Opened::Described(saved) => Self::Keras(saved),
            Opened::Functions(files) => Self::SavedModel(SavedGraphs { file: path.to_owned(), files }),
        }
    }

    fn file(&self) -> &Path {
        match self {
            Self::Keras(saved) => &saved.file,
            Self::TfLite(saved) => &saved.file,
            Self::SavedModel(saved) => &saved.file,
        }
    }

    /// The graph of the model, and where it comes from.
    ///
    /// # Errors
    /// When something in the file is not supported, does not fit, or is left open by it and `options`.
    pub fn graph(&self, options: &Options) -> Result<(Graph, Origin), ImportError> {
        if let (Self::SavedModel(_) | Self::TfLite(_), Some(_)) = (self, &options.map) {
            return Err(ImportError::in_file(self.file(), no_layers()));
        }
        match self {
            Self::SavedModel(saved) => saved.graph(options),
            Self::Keras(saved) if options.signature.is_some() => match SavedGraphs::of(&saved.file)? {
                Some(graphs) => graphs.graph(options),
                None => Err(ImportError::in_file(&saved.file, no_signatures())),
            },
            Self::TfLite(saved) if options.signature.is_some() => {
                Err(ImportError::in_file(&saved.file, no_signatures()))
            }
            Self::Keras(saved) => {
                let network = saved.mapped_network(options.map.as_deref());
                let (network, notes) = network.map_err(|error| advised(saved, error))?;
                let graph = keras::lower(saved, &network, options).map_err(|error| advised(saved, error))?;
                let mut origin = Origin { units: network.layers.len(), ..keras_origin(saved) };
                origin.notes.extend(notes);
                Ok((graph, origin))
            }
            Self::TfLite(saved) => {
                if options.batch.is_some() || !options.input_shapes.is_empty() {
                    let fault = Fault::Unsupported {
                        what: "`--batch` or `--input-shape` with a .tflite file".into(),
                        remedy: "its shapes were fixed when it was converted: leave the option out".into(),
                    };
                    return Err(ImportError::in_file(&saved.file, fault));
                }
                let (graph, origin) = (saved.lower()?, tflite_origin(saved)?);
                Ok((graph, origin))
            }
        }
    }

    /// Adds all that is in the file to `found`.
    pub(super) fn survey(&self, options: &Options, found: &mut Surveyed) {
        let origin = match self {
            Self::Keras(saved) => {
                saved.survey(options, found);
                Ok(keras_origin(saved))
            }
            Self::TfLite(saved) => {
                saved.survey(found);
                tflite_origin(saved)
            }
            Self::SavedModel(saved) => saved.graph(options).map(|(graph, origin)| {
                found.of_graph(&graph);
                origin
            }),
        };
        match origin {
            Ok(origin) => {
                found.format = origin.format.into();
                found.writer = origin.writer;
                found.parameters = origin.parameters;
                found.dropped = origin.dropped;
                found.notes.splice(0..0, origin.notes);
            }
            Err(error) => found.refusals.push(error),
        }
    }
}

/// The error of a layer of which a SavedModel has the code in its graphs.
fn advised(saved: &keras::Saved, mut error: ImportError) -> ImportError {
    if let Fault::Code { remedy, .. } = &mut *error.fault
        && saved.container == keras::Container::SavedModel
    {
        *remedy = "`--signature serving_default` reads the graph, in which the code is written out as operations; or say by \
                   `--map` which of Keras' layers compute it";
    }
    error
}

/// What a file of Keras says of itself.
fn keras_origin(saved: &keras::Saved) -> Origin {
    let weights = saved.weights.groups().iter().flat_map(|(_, weights)| weights);
    let version = saved.keras_version.map_or("version unknown".into(), |v| v.to_string());
    Origin {
        format: saved.container.name(),
        writer: Some(format!("Keras {version}")),
        unit: "layers",
        units: 0,
        parameters: weights.map(|weight| weight.array.len() as u64).sum(),
        labels: None,
        dropped: saved.dropped.clone(),
        notes: saved.notes.clone(),
    }
}

/// What a file of TensorFlow Lite says of itself.
fn tflite_origin(saved: &tflite::Saved) -> Result<Origin, ImportError> {
    let summary = saved.summary()?;
    let promise = |version: String| format!("runtime {version} or later");
    let said = [Some(summary.description), summary.min_runtime_version.map(promise)];
    let said: Vec<String> = said.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    Ok(Origin {
        format: "TensorFlow Lite",
        writer: (!said.is_empty()).then(|| said.join(", ")),
        unit: "operators",
        units: summary.operators,
        parameters: summary.parameters,
        labels: summary.labels,
        dropped: Vec::new(),
        notes: Vec::new(),
    })
}
