//! The section directory.

use crate::tensor::numbered;
use bytemuck::{Pod, Zeroable};

numbered! {
    /// What a section holds.
    SectionKind: u16 {
        /// [`crate::TensorRecord`]s.
        Tensors = 1, "tensors";
        /// [`crate::StepRecord`]s, in execution order.
        Steps = 2, "steps";
        /// Tensor numbers, `u32`, of each step in turn: inputs, outputs, scratches.
        Operands = 3, "operands";
        /// Parameter records of the steps, in step order.
        Params = 4, "params";
        /// Data of the constant tensors.
        Weights = 5, "weights";
        /// Tensor numbers, `u32`, of the model's inputs.
        Inputs = 6, "inputs";
        /// Tensor numbers, `u32`, of the model's outputs.
        Outputs = 7, "outputs";
        /// [`crate::QuantRecord`]s.
        Quant = 8, "quant";
        /// What the state memory holds before the first run.
        StateInit = 9, "state_init";
        /// [`crate::CaseRecord`]s: the goldens.
        Goldens = 10, "goldens";
        /// [`crate::ReceiptRecord`]s of each golden in turn.
        Receipts = 11, "receipts";
        /// Input and output values of the goldens.
        GoldenData = 12, "golden_data";
        /// [`crate::NameRecord`]s.
        Names = 13, "names";
        /// [`crate::MetaRecord`]s.
        Meta = 14, "meta";
        /// UTF-8 text that names and metadata point into.
        Strings = 15, "strings";
        /// Reserved for a signature over all that precedes it.
        Signature = 16, "signature";
    }
}

impl SectionKind {
    /// Whether a reader that does not know this kind must refuse the file.
    pub const fn critical(self) -> bool {
        (self as u16) < Self::Goldens as u16
    }
}

/// One entry of the section directory: 24 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct SectionRecord {
    /// A [`SectionKind`]; each at most once, ascending.
    pub kind: u16,
    /// 1 if the section is critical: a reader that does not know its kind refuses the file. Else 0.
    pub critical: u16,
    /// Alignment of `offset`: a power of two, at least 16.
    pub align: u32,
    /// First byte, from the start of the file.
    pub offset: u32,
    /// Length.
    pub bytes: u32,
    /// CRC-32 of the section's bytes.
    pub crc32: u32,
    /// Zero.
    pub reserved: u32,
}

/// Where a section lies in the file. One that is absent is empty and lies at 0, where the header is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
}

impl Span {
    pub(crate) fn end(self) -> u32 {
        self.offset.saturating_add(self.bytes)
    }
}

/// The sections of known kinds, which rules ask for again and again.
pub(crate) struct Spans([Span; SectionKind::Signature as usize + 1]);

impl Spans {
    /// Of a directory that keeps rules V07 and V08.
    pub(crate) fn of(sections: &[SectionRecord]) -> Self {
        let mut spans = [Span::default(); SectionKind::Signature as usize + 1];
        for section in sections {
            if let Some(span) = spans.get_mut(usize::from(section.kind)) {
                *span = Span { offset: section.offset, bytes: section.bytes };
            }
        }
        Self(spans)
    }

    pub(crate) fn get(&self, kind: SectionKind) -> Span {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }
}
