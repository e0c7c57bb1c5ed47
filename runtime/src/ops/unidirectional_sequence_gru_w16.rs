//! Gated recurrent units over a sequence, with weights of binary16: computed as
//! [`unidirectional_sequence_gru`].
//!
//! | operand   | dtype | shape                | layouts |
//! |-----------|-------|----------------------|---------|
//! | w         | f16   | `[3, S, I]`          | rows    |
//! | recurrent | f16   | `[3, S, S]`          | rows    |
//! | bias      | f32   | `[4, S]` or `[3, S]` | rows    |
//!
//! The others are those of [`unidirectional_sequence_gru`], and the rule proves what it proves there.

use super::unidirectional_sequence_gru;
use crate::arch::{Active, Arch};
use crate::kernel::Kernel;
use crate::weight::Half;
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_gru_w16::RULE;

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::UnidirectionalSequenceGruW16, RULE, unidirectional_sequence_gru::run::<A, Half>)
}
