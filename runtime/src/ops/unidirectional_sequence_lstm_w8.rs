//! Long short-term memory over a sequence, with weights of 8-bit integers: computed as
//! [`unidirectional_sequence_lstm`]. A sum of products is multiplied with the scale of its row before it
//! is added to the others.
//!
//! | operand   | dtype | shape        | layouts             |
//! |-----------|-------|--------------|---------------------|
//! | w         | i8    | `[4, S, I]`  | rows                |
//! | recurrent | i8    | `[4, S, S]`  | rows                |
//! | bias      | f32   | `[4 + 8, S]` | rows; scales behind |
//!
//! The others are those of [`unidirectional_sequence_lstm`], and the rule proves what it proves there.

use super::unidirectional_sequence_lstm;
use crate::arch::{Active, Arch};
use crate::kernel::Kernel;
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_lstm_w8::RULE;

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::UnidirectionalSequenceLstmW8, RULE, unidirectional_sequence_lstm::run::<A, i8>)
}
