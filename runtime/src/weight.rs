//! How weights are stored: as they are multiplied, or in fewer bytes.

use crate::math;
use bytemuck::{Pod, Zeroable};

/// A stored weight, which float32 activations are multiplied with.
pub trait Weight: Pod + Send + Sync {
    /// Whether sums of products are multiplied with a scale of the output, before the bias is added.
    const SCALED: bool = false;

    /// What the activation is multiplied with.
    fn real(self) -> f32;

    /// The bits of these, if they are binary16.
    #[inline(always)]
    fn halves<const N: usize>(_: &[Self; N]) -> Option<&[u16; N]> {
        None
    }

    /// The weights themselves, if they are stored as they are multiplied.
    #[inline(always)]
    fn reals(_: &[Self]) -> Option<&[f32]> {
        None
    }
}

impl Weight for f32 {
    #[inline(always)]
    fn reals(weights: &[Self]) -> Option<&[f32]> {
        Some(weights)
    }

    #[inline(always)]
    fn real(self) -> f32 {
        self
    }
}

impl Weight for i8 {
    const SCALED: bool = true;

    #[inline(always)]
    fn real(self) -> f32 {
        self.into()
    }
}

/// A weight stored as binary16, by its bits.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(transparent)]
pub struct Half(u16);

impl Weight for Half {
    #[inline(always)]
    fn halves<const N: usize>(weights: &[Self; N]) -> Option<&[u16; N]> {
        bytemuck::cast_slice(weights).first_chunk()
    }

    #[inline(always)]
    fn real(self) -> f32 {
        math::half(self.0)
    }
}
