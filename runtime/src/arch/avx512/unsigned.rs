//! Activations without a sign, as dot products of bytes take them.

use bytemuck::{Pod, Zeroable};
use core::arch::x86_64::*;

/// An activation and [`ABOVE`].
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Unsigned(u8);

/// What activations are larger by.
pub(super) const ABOVE: u8 = 0x80;

impl From<i8> for Unsigned {
    #[inline(always)]
    fn from(x: i8) -> Self {
        Self(x as u8 ^ ABOVE)
    }
}

/// [`ABOVE`] in all places.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn all_above() -> __m512i {
    _mm512_set1_epi8(ABOVE as i8)
}
