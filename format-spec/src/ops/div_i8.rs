//! Quotient of 8-bit integers, with broadcasting: a, b → y.

pub use super::mul_i8::RULE;

/// Parameters of `div_i8`: those of `mul_i8`.
pub type DivI8Params = super::mul_i8::MulI8Params;
