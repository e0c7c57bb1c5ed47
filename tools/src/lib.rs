//! x

pub mod array;
pub mod graph;
pub mod import;
pub mod ops;
pub mod reference;
