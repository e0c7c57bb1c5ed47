//! What a file holds, whether or not a model can be made of it.

use std::path::Path;

use super::keras::{self, Dropped, Options};
use super::{Content, Fault, ImportError, open, open_bytes};
use crate::graph::{Graph, TensorId};

/// What is found in a file.
#[derive(Debug, Default)]
pub struct Surveyed {
    /// The kind of file, such as `HDF5`.
    pub format: String,
    /// What wrote it, as far as it says.
    pub writer: Option<String>,
    /// Names and shapes of the inputs, batch first, open extents `None`, as far as the file says.
    pub inputs: Vec<(String, Option<Vec<Option<usize>>>)>,
    /// Names of the layers or tensors that are the outputs.
    pub outputs: Vec<String>,
    /// The layers, or the operators of TensorFlow Lite.
    pub layers: Vec<SurveyedLayer>,
    /// Number of values in all weights.
    pub parameters: u64,
    /// What the file holds and flatpack has no use for.
    pub dropped: Vec<Dropped>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What has to be said for the model to be built.
    pub open: Vec<String>,
    /// What a pickle would import or call where Python loads it.
    pub named: Vec<Named>,
    /// All reasons why the model is not built that were found.
    pub refusals: Vec<ImportError>,
}

/// A layer, or an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedLayer {
    /// Its name, that of a nested layer as `model/block/conv`.
    pub path: String,
    /// Its class.
    pub class: String,
    /// The shapes of what it gives, as far as they are known.
    pub shapes: Vec<Vec<u32>>,
    /// Number of values in its weights, where it is known.
    pub parameters: Option<u64>,
}

/// Something of a Python module that a pickle names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Module and name, such as `os.system`.
    pub name: String,
    /// Where the file names it first, in bytes.
    pub at: usize,
    /// Whether it would be called, and not only imported.
    pub is_called: bool,
    /// Whether it is known to make data of data.
    pub is_known: bool,
}

impl Surveyed {
    /// The paths of the layers that are refused.
    pub(super) fn layers_refused(&self) -> impl Iterator<Item = &str> {
        self.refusals.iter().filter_map(|error| error.layer.as_ref()).map(|layer| layer.path.as_str())
    }

    /// Adds the operators of a graph.
    pub(super) fn of_graph(&mut self, graph: &Graph) {
        let name = |&id: &TensorId| graph.tensor(id).name.clone();
        let shape = |&id: &TensorId| graph.dims(id).iter().map(|&extent| Some(extent as usize)).collect();
        self.inputs.extend(graph.inputs.iter().map(|id| (name(id), Some(shape(id)))));
        self.outputs.extend(graph.outputs.iter().map(name));
        self.layers.extend(graph.nodes.iter().map(|node| SurveyedLayer {
            path: node.layer.clone(),
            class: node.op.name().to_owned(),
            shapes: vec![graph.dims(node.output).to_vec()],
            parameters: None,
        }));
    }

    /// Whether the file names Python code.
    pub fn names_code(&self) -> bool {
        let refused = self.refusals.iter().any(|error| matches!(*error.fault, Fault::Code { .. }));
        refused || self.named.iter().any(|named| !named.is_known)
    }
}

/// Looks at all of a file, past what would be refused.
///
/// # Errors
/// When it cannot be read. That it is damaged or no model is a refusal.
pub fn survey(path: &Path, weights: Option<&Path>, options: &Options) -> Result<Surveyed, ImportError> {
    let mut found = Surveyed::default();
    let opened = if path.is_dir() {
        open(path, weights)
    } else {
        let bytes = keras::read(path)?;
        let content = Content::of(&bytes);
        found.format = content.looks_like().into();
        if content == Content::Pickle {
            found.named = keras::names_in_pickle(&bytes);
        }
        open_bytes(path, bytes, weights)
    };
    if let Some(weights) = weights {
        let bytes = keras::read(weights)?;
        if Content::of(&bytes) == Content::Pickle {
            found.named.extend(keras::names_in_pickle(&bytes));
        }
    }
    match opened {
        Ok(source) => source.survey(options, &mut found),
        Err(error) if matches!(*error.fault, Fault::Read(_)) => return Err(error),
        Err(error) => found.refusals.push(error),
    }
    let mut said: Vec<String> = Vec::new();
    found.refusals.retain(|error| {
        let text = error.to_string();
        let is_new = !said.contains(&text);
        said.push(text);
        is_new
    });
    Ok(found)
}
