//! One module per operator: what it computes, and its kernel.

use crate::kernel::Kernel;

mod unary;

pub mod abs;
pub mod clip;
pub mod conv_2d;
pub mod conv_3d;
pub mod fully_connected;
pub mod transpose_conv_2d;
pub mod transpose_conv_3d;

/// Every kernel, by opcode. Firmware names the kernels of its model instead, so that the linker
/// drops the others.
pub const ALL: &[Kernel] = &[
    conv_2d::KERNEL,
    transpose_conv_2d::KERNEL,
    conv_3d::KERNEL,
    transpose_conv_3d::KERNEL,
    fully_connected::KERNEL,
    clip::KERNEL,
    abs::KERNEL,
];
