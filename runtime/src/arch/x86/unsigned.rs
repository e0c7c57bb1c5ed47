//! Activations without a sign, as dot products of bytes take them.

use bytemuck::{Pod, Zeroable};

/// An activation and [`ABOVE`].
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(in crate::arch) struct Unsigned(u8);

/// What activations are larger by.
pub(in crate::arch) const ABOVE: u8 = 0x80;

impl From<i8> for Unsigned {
    #[inline(always)]
    fn from(x: i8) -> Self {
        Self(x as u8 ^ ABOVE)
    }
}
