//! A recurrent layer without gates over a sequence, with weights of binary16: computed as
//! [`unidirectional_sequence_rnn`].
//!
//! | operand   | dtype | shape       | layouts |
//! |-----------|-------|-------------|---------|
//! | w         | f16   | `[1, S, I]` | rows    |
//! | recurrent | f16   | `[1, S, S]` | rows    |
//! | bias      | f32   | `[1, S]`    | rows    |
//!
//! The others are those of [`unidirectional_sequence_rnn`], and the rule proves what it proves there.

use super::unidirectional_sequence_rnn;
use crate::arch::{Active, Arch};
use crate::kernel::Kernel;
use crate::weight::Half;
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_rnn_w16::RULE;

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::UnidirectionalSequenceRnnW16, RULE, unidirectional_sequence_rnn::run::<A, Half>)
}
