//! Product over neighbouring axes; see [`super::mean`] for shapes.

use super::PLAIN;
use super::mean::output;
use crate::op::OpRule;

pub use super::mean::ReduceParams;

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<ReduceParams>() as u32, output, ..PLAIN };
