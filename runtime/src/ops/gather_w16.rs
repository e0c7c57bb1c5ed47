//! Rows of a table of binary16 by index, as by `gather`.
//!
//! | operand | dtype | shape         | layouts |
//! |---------|-------|---------------|---------|
//! | x       | f32   | any           | rows    |
//! | table   | f16   | `[R, …]`      | rows    |
//! | y       | f32   | `[x…, …]`     | rows    |
//!
//! The rule proves what it proves for `gather`.

use super::gather;
use crate::kernel::Kernel;
use crate::weight::Half;
use flatpack_format::OpCode;
use flatpack_format::ops::gather_w16::RULE;

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::GatherW16, RULE, gather::run::<Half>);
