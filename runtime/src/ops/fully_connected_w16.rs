//! Fully connected with weights of binary16: `y[n, o] = clamp(bias[o] + Σᵢ x[n, i] · w[o, i])`, summed
//! as by `fully_connected`.
//!
//! | operand | dtype | shape      | layouts             |
//! |---------|-------|------------|---------------------|
//! | x       | f32   | `[..., I]` | rows                |
//! | w       | f16   | `[O, I]`   | rows, panel16       |
//! | bias    | f32   | `[O]`      | rows; may be absent |
//! | y       | f32   | `[..., O]` | rows                |
//!
//! The rule proves what it proves for `fully_connected`.

use super::fully_connected;
use crate::arch::{Active, Arch};
use crate::kernel::Kernel;
use crate::weight::Half;
use flatpack_format::OpCode;
use flatpack_format::ops::fully_connected_w16::RULE;

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::FullyConnectedW16, RULE, fully_connected::run::<A, Half>)
}
