//! TensorFlow's SavedModel: a folder with functions as graphs, objects that have them, and variables.
//!
//! Where Keras left the architecture beside them, [`keras`](super::keras) reads that; else
//! the graph of a signature is what is read.

mod bundle;
mod dtype;
mod files;
mod known;
mod lower;
mod objects;
mod operators;
mod proto;
mod table;

pub(crate) use files::Files;
pub(crate) use lower::lower;
pub(crate) use objects::{Objects, ROOT};
pub(crate) use proto::KerasMetadata;

use bundle::Bundle;
use prost::Message;
use proto::MetaGraph;

use super::Fault;

/// Names of TensorFlow's operations that are read.
pub fn supported() -> Vec<&'static str> {
    operators::names()
}

/// A SavedModel whose files are in memory.
pub(crate) struct SavedModel<'f> {
    /// The graphs and objects of the tag `serve`.
    pub(crate) meta_graph: MetaGraph,
    /// What Keras says of the objects.
    pub(crate) keras: KerasMetadata,
    /// The values of the variables.
    pub(crate) bundle: Option<Bundle<'f>>,
}

impl<'f> SavedModel<'f> {
    /// Reads a SavedModel.
    pub(crate) fn parse(files: &'f Files) -> Result<Self, Fault> {
        let damaged = |error: prost::DecodeError| damage(error.to_string());
        let model =
            proto::SavedModel::decode(files.get(files::MODEL).unwrap_or_default()).map_err(damaged)?;
        let mut meta_graphs = model.meta_graphs;
        let tags = |graph: &MetaGraph| graph.meta_info.clone().unwrap_or_default().tags;
        let serving = meta_graphs.iter().position(|graph| tags(graph).iter().any(|tag| tag == "serve"));
        let Some(serving) = serving else {
            let found: Vec<String> =
                meta_graphs.iter().flat_map(tags).map(|tag| format!("`{tag}`")).collect();
            return Err(Fault::WrongContent {
                found: format!("a SavedModel with the tags {}", found.join(", ")),
                expected: "one with the tag `serve`",
                remedy: "save the model again with `model.export(\"folder\")`",
            });
        };
        let keras = match files.get(files::METADATA) {
            Some(bytes) => KerasMetadata::decode(bytes).map_err(damaged)?,
            None => KerasMetadata::default(),
        };
        let meta_graph = meta_graphs.swap_remove(serving);
        Ok(Self { meta_graph, keras, bundle: Bundle::open(files)? })
    }

    /// The size of all functions.
    pub(crate) fn function_bytes(&self) -> u64 {
        self.meta_graph.graph.as_ref().map_or(0, |graph| graph.encoded_len() as u64)
    }

    /// The TensorFlow that wrote it.
    pub(crate) fn tensorflow_version(&self) -> Option<&str> {
        let info = self.meta_graph.meta_info.as_ref()?;
        (!info.tensorflow_version.is_empty()).then_some(&info.tensorflow_version)
    }
}

/// Whether `bytes` have this checksum, masked as LevelDB and TensorFlow do.
fn checked(bytes: &[u8], masked: u32) -> bool {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8) == masked
}

fn damage(detail: String) -> Fault {
    Fault::Damaged { container: "SavedModel", detail }
}
