//! Gated recurrent units over a sequence, with weights of 8-bit integers: computed as
//! [`unidirectional_sequence_gru`]. A sum of products is multiplied with the scale of its row before it
//! is added to the others.
//!
//! | operand   | dtype | shape                        | layouts             |
//! |-----------|-------|------------------------------|---------------------|
//! | w         | i8    | `[3, S, I]`                  | rows                |
//! | recurrent | i8    | `[3, S, S]`                  | rows                |
//! | bias      | f32   | `[4 + 6, S]` or `[3 + 6, S]` | rows; scales behind |
//!
//! The others are those of [`unidirectional_sequence_gru`], and the rule proves what it proves there.

use super::unidirectional_sequence_gru;
use crate::arch::{Active, Arch};
use crate::kernel::Kernel;
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_gru_w8::RULE;

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::UnidirectionalSequenceGruW8, RULE, unidirectional_sequence_gru::run::<A, i8>)
}
