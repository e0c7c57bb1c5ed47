//! Importers: from a file made by a training framework to a neutral description of its layers and
//! their weights.
//!
//! Nothing in a file is executed, and nothing is computed here: an importer reads, checks and moves
//! values.

mod archive;
mod compressed;
mod content;
mod error;
mod hdf5;
pub mod keras;
mod numbers;
mod pickle;
pub mod saved_model;
mod source;
mod survey;
pub mod tflite;

pub use content::Content;
pub use error::{Fault, FaultyLayer, ImportError};
pub use source::{Origin, SavedGraphs, Source, open, open_bytes, sha256};
pub use survey::{Named, Surveyed, SurveyedLayer, survey};
