//! Rows of a table of 8-bit integers by index, as by `gather`; each is multiplied with its scale.
//!
//! | operand | dtype | shape          | layouts |
//! |---------|-------|----------------|---------|
//! | x       | f32   | any            | rows    |
//! | table   | i8    | `[R, …]`       | rows    |
//! | scales  | f32   | `[R]` or `[1]` | rows    |
//! | y       | f32   | `[x…, …]`      | rows    |
//!
//! The rule proves what it proves for `gather`.

use super::gather;
use crate::kernel::Kernel;
use flatpack_format::OpCode;
use flatpack_format::ops::gather_w8::RULE;

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::GatherW8, RULE, gather::run::<i8>);
