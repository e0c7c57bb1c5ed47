//! Goldens: inputs with their reference predictions, and a receipt per step.

use bytemuck::{Pod, Zeroable};

/// Elements that a receipt shows.
pub const PROBE_COUNT: usize = 4;

/// One golden case: 32 bytes. Its data are the inputs, then the outputs, each in the model's order
/// and zero-padded to a multiple of 16 bytes.
///
/// An output element `got` meets `want` if `|got − want| ≤ max(abs_tolerance, rel_tolerance · m)`,
/// where `m` is the largest magnitude expected in that output.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct CaseRecord {
    /// First byte of the case's data, from the start of the file.
    pub data_offset: u32,
    /// Length of the case's data.
    pub data_bytes: u32,
    /// Number of the case's receipts; they follow those of the case before.
    pub receipt_count: u32,
    /// Absolute tolerance of outputs.
    pub abs_tolerance: f32,
    /// Tolerance of outputs relative to the largest expected magnitude.
    pub rel_tolerance: f32,
    /// Absolute tolerance of receipts.
    pub receipt_abs_tolerance: f32,
    /// Tolerance of receipts, relative to what [`ReceiptRecord`] says.
    pub receipt_rel_tolerance: f32,
    /// Zero.
    pub reserved: u32,
}

/// What one step should have produced in one case: 56 bytes.
///
/// A step whose result is the same on every machine has an exact receipt: it meets it if the checksum
/// of the bytes of its first output is that of the receipt, whose other fields are zero. Any other
/// step meets its receipt if each probe differs by at most `max(receipt_abs_tolerance,
/// receipt_rel_tolerance · max_abs)` and both sums by at most `max(receipt_abs_tolerance,
/// receipt_rel_tolerance · sum_abs)`.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct ReceiptRecord {
    /// Step number; ascending within a case.
    pub step: u32,
    /// 1 if the receipt is exact: the checksum counts and nothing else. Else 0.
    pub exact: u32,
    /// CRC-32 of the bytes of the step's first output, of an exact receipt; else 0.
    pub crc32: u32,
    /// Sum of all elements of the step's first output.
    pub sum: f32,
    /// Sum of their magnitudes.
    pub sum_abs: f32,
    /// The largest magnitude.
    pub max_abs: f32,
    /// Elements that are shown, by index.
    pub probe_index: [u32; PROBE_COUNT],
    /// Their values.
    pub probe_value: [f32; PROBE_COUNT],
}
