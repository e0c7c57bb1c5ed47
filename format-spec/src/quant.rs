//! Quantisation records.

use bytemuck::{Pod, Zeroable};

/// How integers of a tensor stand for reals, `real = scale · (q − zero_point)`: 16 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct QuantRecord {
    /// Positive and finite.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i32,
    /// Axis along which scales differ, for per-channel weights; `u32::MAX` for one scale.
    pub axis: u32,
    /// Constant tensor of the scales along `axis`; `u32::MAX` for none.
    pub scales: u32,
}
