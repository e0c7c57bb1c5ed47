//! Memory with the alignment that files and arenas need.

use crate::ALIGN;
use bytemuck::{Pod, Zeroable};

/// 16 bytes at a 16-byte boundary. A `[Block; N]` or `Vec<Block>` is aligned memory for a file or
/// an arena; [`Block::bytes`] and [`Block::bytes_mut`] give its bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(16))]
pub struct Block(pub [u8; ALIGN as usize]);

impl Block {
    /// Sixteen zeros.
    pub const ZERO: Self = Self([0; ALIGN as usize]);

    /// How many blocks hold this many bytes.
    pub const fn count(bytes: usize) -> usize {
        bytes.div_ceil(ALIGN as usize)
    }

    /// The bytes of the blocks.
    pub fn bytes(blocks: &[Self]) -> &[u8] {
        bytemuck::cast_slice(blocks)
    }

    /// The bytes of the blocks.
    pub fn bytes_mut(blocks: &mut [Self]) -> &mut [u8] {
        bytemuck::cast_slice_mut(blocks)
    }
}
