//! 2-D maximum pooling: x `[N, H, W, C]` → y `[N, OH, OW, C]`. Padding does not count.

use super::PLAIN;
use super::average_pool_2d::{output, rows};
use crate::op::OpRule;

pub use super::average_pool_2d::Pool2dParams;

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<Pool2dParams>() as u32, output, rows, ..PLAIN };
