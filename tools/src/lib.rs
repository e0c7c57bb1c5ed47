//! x

pub mod array;
pub mod import;
