//! Difference of 8-bit integers, with broadcasting: a, b → y.

pub use super::add_i8::RULE;

/// Parameters of `sub_i8`: those of `add_i8`.
pub type SubI8Params = super::add_i8::AddI8Params;
