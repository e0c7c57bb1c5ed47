//! Transposed 2-D convolution with weights of 8-bit integers: `y[n, oh, ow, o] = clamp(bias[o] +
//! scale[o] · Σ x[n, ih, iw, c] · w[o, kh, kw, c])`, summed as by `transpose_conv_2d`.
//!
//! | operand | dtype | shape            | layouts             |
//! |---------|-------|------------------|---------------------|
//! | x       | f32   | `[N, H, W, C]`   | rows                |
//! | w       | i8    | `[O, KH, KW, C]` | rows, panel16       |
//! | scales  | f32   | `[O]` or `[1]`   | rows                |
//! | bias    | f32   | `[O]`            | rows; may be absent |
//! | y       | f32   | `[N, OH, OW, O]` | rows                |
//!
//! The rule proves what it proves for `transpose_conv_2d`.

use super::transpose_conv_2d;
use crate::arch::{Active, Arch};
use crate::kernel::Kernel;
use flatpack_format::OpCode;
use flatpack_format::ops::transpose_conv_2d_w8::RULE;

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::TransposeConv2dW8, RULE, transpose_conv_2d::run::<A, i8>)
}
