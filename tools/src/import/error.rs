//! What can be wrong with a file, said so that its owner can act on it.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file that could not be imported: which file, which layer, and the [`Fault`].
#[derive(Debug, Error)]
pub struct ImportError {
    /// The file.
    pub file: PathBuf,
    /// The layer, where the fault is in one.
    pub layer: Option<Box<FaultyLayer>>,
    /// What is wrong.
    pub fault: Box<Fault>,
}

/// The layer a fault is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultyLayer {
    /// Its name, that of a nested layer as `model/block/conv`.
    pub path: String,
    /// Its class.
    pub class: String,
}

impl ImportError {
    /// A fault of the file as a whole.
    pub fn in_file(file: &Path, fault: Fault) -> Self {
        Self { file: file.to_owned(), layer: None, fault: Box::new(fault) }
    }

    /// A fault of one layer.
    pub fn in_layer(file: &Path, path: impl Into<String>, class: impl Into<String>, fault: Fault) -> Self {
        let layer = FaultyLayer { path: path.into(), class: class.into() };
        Self { layer: Some(Box::new(layer)), ..Self::in_file(file, fault) }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if let Some(layer) = &self.layer {
            write!(f, "layer `{}` ({}): ", layer.path, layer.class)?;
        }
        self.fault.fmt(f)
    }
}

impl miette::Diagnostic for ImportError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.fault.remedy().map(|remedy| Box::new(remedy) as Box<dyn fmt::Display>)
    }
}

/// What is wrong with a file or with one of its layers.
#[derive(Debug, Error)]
pub enum Fault {
    /// The operating system could not read the file.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),

    /// The file is something else than a model that is read.
    #[error("found {found}, expected {expected}")]
    WrongContent {
        /// What the bytes look like.
        found: String,
        /// What was looked for.
        expected: &'static str,
        /// What to do.
        remedy: &'static str,
    },

    /// The container is damaged or cut short.
    #[error("damaged {container}: {detail}")]
    Damaged {
        /// The container's name, such as `HDF5`.
        container: &'static str,
        /// What went wrong where.
        detail: String,
    },

    /// The file ends before its content does.
    #[error("cut short: {found_bytes} bytes of {expected_bytes}")]
    Truncated {
        /// The file's length.
        found_bytes: u64,
        /// The length it says it has.
        expected_bytes: u64,
    },

    /// The JSON text of an architecture does not parse.
    #[error("{what} is not valid JSON: {source}")]
    Json {
        /// Which text.
        what: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },

    /// A value is missing or is not what Keras writes.
    #[error("{place}: found {found}, expected {expected}")]
    Unexpected {
        /// The key or place, such as `inbound_nodes`.
        place: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },

    /// An operator's tensors and options do not fit together.
    #[error("{place}: found {found}, expected {expected}")]
    Misfit {
        /// What does not fit.
        place: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },

    /// The weights do not fit the layers.
    #[error("weights: found {found}, expected {expected}")]
    Weights {
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },

    /// The file is valid, but flatpack cannot do what it asks for.
    #[error("{what} is not supported")]
    Unsupported {
        /// The feature.
        what: String,
        /// What to do.
        remedy: String,
    },

    /// Reading the file as Python does would run code.
    #[error("refused: {what}; nothing was run")]
    Code {
        /// What it would do, and where: `it calls …`.
        what: String,
        /// What to do.
        remedy: &'static str,
    },

    /// What a map says makes no sense.
    #[error("{place}: {detail}")]
    Map {
        /// The entry, the line or the expression.
        place: String,
        /// What is wrong with it.
        detail: String,
    },

    /// Something is larger or deeper than any real model.
    #[error("{what} is {found}, the limit is {limit}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The count.
        found: u64,
        /// The largest one accepted.
        limit: u64,
    },
}

impl Fault {
    /// What the owner of the file can do about it.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Fault::Read(_) => Some("check the path and the permissions"),
            Fault::WrongContent { remedy, .. } => Some(remedy),
            Fault::Damaged { .. } | Fault::Truncated { .. } => {
                Some("copy or download the file again, or save the model again")
            }
            Fault::Json { .. } | Fault::Unexpected { .. } => {
                Some("save the model again with Keras; if Keras loads this very file, please report it")
            }
            Fault::Misfit { .. } => {
                Some("convert the model again; if TensorFlow Lite runs this very file, please report it")
            }
            Fault::Weights { .. } => Some("check that the weights belong to this architecture"),
            Fault::Unsupported { remedy, .. } => Some(remedy),
            Fault::Code { remedy, .. } => Some(remedy),
            Fault::Map { .. } => {
                Some("`flatpack build --help` shows a map; docs/formats.md has all that one may say")
            }
            Fault::Limit { .. } => None,
        }
    }
}
