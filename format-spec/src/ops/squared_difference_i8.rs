//! Squared difference of 8-bit integers, with broadcasting: a, b → y.

pub use super::add_i8::RULE;

/// Parameters of `squared_difference_i8`: those of `add_i8`, with 2⁷ for 2²⁰.
pub type SquaredDifferenceI8Params = super::add_i8::AddI8Params;
