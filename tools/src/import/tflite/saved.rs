//! A file and what it says of itself.

use std::path::PathBuf;

use super::model::{Model, Tensor};
use super::{labels, lower};
use crate::graph::Graph;
use crate::import::ImportError;
use crate::import::survey::Surveyed;

/// A file that holds a model.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The file.
    pub file: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a model says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What the converter wrote as description.
    pub description: String,
    /// The oldest runtime that the converter promises to run the model.
    pub min_runtime_version: Option<String>,
    /// Names of the classes, one a line, in the order of the first output's elements.
    pub labels: Option<String>,
    /// Operators of the graph that is run.
    pub operators: usize,
    /// Values in all constants.
    pub parameters: u64,
}

impl Saved {
    /// Takes the file apart.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn model(&self) -> Result<Model<'_>, ImportError> {
        Model::read(&self.bytes).map_err(|fault| ImportError::in_file(&self.file, fault))
    }

    /// Turns the model into a graph of reals, annotated with the integers that stand for them.
    ///
    /// # Errors
    /// When the file is damaged, an operator is not supported, or its tensors do not fit it.
    pub fn lower(&self) -> Result<Graph, ImportError> {
        let name = self.file.file_stem().unwrap_or_default().to_string_lossy();
        lower::lower(&self.file, &name, &self.model()?)
    }

    /// Lists the operators, and goes on where one is refused.
    pub(in super::super) fn survey(&self, found: &mut Surveyed) {
        match self.model() {
            Ok(model) => lower::survey(&self.file, &model, found),
            Err(error) => found.refusals.push(error),
        }
    }

    /// What the model says of itself.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn summary(&self) -> Result<Summary, ImportError> {
        let model = self.model()?;
        let version = model.metadata.iter().find(|entry| entry.name == "min_runtime_version");
        let version = version.map(|entry| String::from_utf8_lossy(entry.data).trim_matches('\0').to_owned());
        let graph = model.subgraphs.first();
        let elements = |tensor: &Tensor<'_>| {
            let known = tensor.shape.iter().map(|&extent| u64::from(extent.unsigned_abs()));
            tensor.data.map_or(0, |_| known.fold(1, u64::saturating_mul))
        };
        let parameters = graph.iter().flat_map(|graph| &graph.tensors).map(elements);
        Ok(Summary {
            labels: labels::of_first_output(&self.bytes, &model),
            operators: graph.map_or(0, |graph| graph.operators.len()),
            parameters: parameters.fold(0, u64::saturating_add),
            min_runtime_version: version.filter(|version| !version.is_empty()),
            description: model.description,
        })
    }
}
