//! Rows of a table of binary16 by index.

use super::{Operator, gather};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator::new(OpCode::GatherW16, gather::reference);
