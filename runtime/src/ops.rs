//! One module per operator: what it computes, and its kernel.

use crate::kernel::Kernel;

mod binary;
mod gather;
mod unary;

pub mod abs;
pub mod add;
pub mod broadcast_to;
pub mod clip;
pub mod concatenate;
pub mod conv_2d;
pub mod conv_3d;
pub mod div;
pub mod fully_connected;
pub mod maximum;
pub mod minimum;
pub mod mul;
pub mod pad;
pub mod pow;
pub mod prelu;
pub mod reshape;
pub mod resize_bilinear;
pub mod resize_nearest_neighbor;
pub mod strided_slice;
pub mod sub;
pub mod transpose;
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
    add::KERNEL,
    sub::KERNEL,
    mul::KERNEL,
    div::KERNEL,
    maximum::KERNEL,
    minimum::KERNEL,
    pow::KERNEL,
    prelu::KERNEL,
    concatenate::KERNEL,
    pad::KERNEL,
    strided_slice::KERNEL,
    transpose::KERNEL,
    reshape::KERNEL,
    broadcast_to::KERNEL,
    resize_nearest_neighbor::KERNEL,
    resize_bilinear::KERNEL,
    clip::KERNEL,
    abs::KERNEL,
];
