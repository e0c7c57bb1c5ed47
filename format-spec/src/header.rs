//! The file header.

use crate::tensor::numbered;
use bytemuck::{Pod, Zeroable};

numbered! {
    /// The kind of machine a file was packed for. It decides layouts and alignment, never results.
    Target: u32 {
        /// Any machine: layout `rows`.
        Portable = 0, "portable";
        /// Cortex-M boards: layout `rows`.
        CortexM = 1, "cortex-m";
        /// Linux gateways: layout `panel16`, 64-byte alignment.
        Linux = 2, "linux";
    }
}

/// Bits of [`Header::features`]. A reader refuses a file with a bit that it does not know.
pub struct Features;

impl Features {
    /// The bits that this version knows.
    pub const KNOWN: u32 = 0;
}

/// The largest number of inputs a model may have, so that comparing each with each stays cheap.
pub const MAX_MODEL_INPUTS: usize = 64;

/// The first 96 bytes of a file.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// [`crate::MAGIC`].
    pub magic: [u8; 8],
    /// [`crate::VERSION`].
    pub version: u32,
    /// Length of the whole file.
    pub file_bytes: u32,
    /// Number of section records that follow the header.
    pub section_count: u32,
    /// CRC-32 of the header, with this field as zero, and the section records.
    pub header_crc32: u32,
    /// A [`Target`].
    pub target: u32,
    /// Alignment in bytes of tensors, 16 or 64.
    pub align: u32,
    /// Bit n is set if a step uses opcode n.
    pub required_ops: [u32; 8],
    /// Capabilities besides operators that a reader must have.
    pub features: u32,
    /// Exact size of the arena: activations and scratch, but those in the far arena.
    pub arena_bytes: u32,
    /// Exact size of the state memory.
    pub state_bytes: u32,
    /// The largest scratch of a step; it is part of the memory that it lies in.
    pub scratch_bytes: u32,
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// Exact size of the far arena.
    pub far_bytes: u32,
    /// Zero.
    pub reserved: u32,
}

impl Header {
    /// Whether a step uses this opcode number.
    pub fn requires_op(&self, number: u16) -> bool {
        self.required_ops.get(usize::from(number / 32)).is_some_and(|word| word >> (number % 32) & 1 == 1)
    }
}
