//! Importers: from a file made by a training framework to a neutral description of its layers and
//! their weights.
//!
//! Nothing in a file is executed, and nothing is computed here: an importer reads, checks and moves
//! values.

mod error;
pub mod keras;

pub use error::{Fault, ImportError};
