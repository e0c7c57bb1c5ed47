//! The model that a command was given, and what its file leaves open.

use super::Failure;
use crate::import::{self, Fault, ImportError, Source, Surveyed, keras};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file leaves open, and the file beside it.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// Rows that one run computes.
    #[arg(long, value_name = "N")]
    pub(super) batch: Option<usize>,
    /// Extents of an input that the model leaves open, without the batch: image=96,96,3.
    #[arg(long, value_name = "NAME=N,N", value_parser = input_shape)]
    pub(super) input_shape: Vec<(String, Vec<usize>)>,
    /// The function of a SavedModel to read, such as serving_default, in place of what Keras describes.
    #[arg(long, value_name = "NAME")]
    pub(super) signature: Option<String>,
    /// Weights (.h5, .pkl) of an architecture given as .json or .yaml.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Architecture (.json, .yaml) of weights given as the model.
    #[arg(long, value_name = "FILE", conflicts_with = "weights")]
    architecture: Option<PathBuf>,
    /// What stands in place of custom layers and Lambdas, such as
    ///   [class.MyDense]
    ///   layer = "Dense"
    ///   [layer.lambda_1]
    ///   expression = "x / 127.5 - 1"
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    map: Option<PathBuf>,
}

impl SourceArgs {
    /// Whether nothing is said.
    pub(super) fn is_empty(&self) -> bool {
        let Self { batch, input_shape, signature, weights, architecture, map } = self;
        let beside = [weights, architecture, map];
        batch.is_none()
            && input_shape.is_empty()
            && signature.is_none()
            && beside.iter().all(|file| file.is_none())
    }

    /// Reads the model.
    pub(super) fn open(&self, model: &Path) -> Result<Source, ImportError> {
        let (model, weights) = self.files(model);
        import::open(model, weights)
    }

    /// Looks at all of the model.
    pub(super) fn survey(&self, model: &Path) -> Result<Surveyed, ImportError> {
        let (model, weights) = self.files(model);
        import::survey(model, weights, &self.options()?)
    }

    /// The file with the architecture, and that of its weights if it is another one.
    fn files<'a>(&'a self, model: &'a Path) -> (&'a Path, Option<&'a Path>) {
        match &self.architecture {
            Some(architecture) => (architecture, Some(model)),
            None => (model, self.weights.as_deref()),
        }
    }

    /// What the arguments say of the model.
    pub(super) fn options(&self) -> Result<keras::Options, ImportError> {
        let map = self.map.as_deref().map(keras::LayerMap::open).transpose()?;
        Ok(keras::Options {
            batch: self.batch,
            input_shapes: self.input_shape.clone(),
            signature: self.signature.clone(),
            map: map.map(Arc::new),
        })
    }
}

fn input_shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let parsed = text.rsplit_once('=').and_then(|(name, extents)| {
        let extents: Result<Vec<usize>, _> = extents.split(',').map(|e| e.trim().parse()).collect();
        Some((name.to_owned(), extents.ok()?))
    });
    parsed.ok_or_else(|| "expected a name and extents, such as image=96,96,3".into())
}

/// Exit code 2 if the system cannot read the file, else 1.
pub(super) fn failure(error: ImportError) -> Failure {
    match *error.fault {
        Fault::Read(_) | Fault::Map { .. } => Failure::usage(error),
        _ => Failure::model(error),
    }
}
