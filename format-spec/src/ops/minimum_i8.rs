//! Minimum of 8-bit integers that stand for reals alike, with broadcasting: a, b → y.

pub use super::maximum_i8::RULE;

/// Parameters of `minimum_i8`: those of `maximum_i8`.
pub type MinimumI8Params = super::maximum_i8::MaximumI8Params;
