//! Minimum of 8-bit integers over neighbouring axes; see [`super::mean`] for shapes.

use super::PLAIN;
use super::reduce_max_i8::output;
use crate::op::OpRule;

pub use super::mean::ReduceParams;

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<ReduceParams>() as u32, output, ..PLAIN };
