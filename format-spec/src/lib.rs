//! The `.fpk` file format: records, validity rules and a total parser.
//!
//! A `.fpk` file is a flattened neural network: every decision that can be taken before the model
//! runs is written down in it, in the layout that the kernels read. `SPEC.md` beside this crate is
//! the format's definition; a test compares its tables with the structures here.
//!
//! [`Model::parse`] is the only way in. It allocates nothing, is linear in the size of the tables,
//! does not read weights, and after it returned `Ok` no accessor of [`Model`] can fail.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

#[cfg(feature = "write")]
extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(target_endian = "big")]
compile_error!("records are read in place and are little-endian; big-endian targets are not supported");

mod aligned;
mod crc32;
mod fit;
mod golden;
mod header;
mod meta;
mod model;
mod op;
pub mod ops;
mod quant;
mod rows;
mod rules;
mod say;
mod section;
mod shape;
mod tensor;
#[cfg(feature = "write")]
pub mod writer;

pub use aligned::Block;
pub use crc32::crc32;
pub use golden::{CaseRecord, PROBE_COUNT, ReceiptRecord};
pub use header::{Features, Header, MAX_MODEL_INPUTS, Target};
pub use meta::{MetaRecord, NameKind, NameRecord, StringRef};
pub use model::{Case, Model, Step, Tensor};
pub use op::{MAX_INPUTS, MAX_WRITES, Misfit, OpCode, OpRule, StepRecord};
pub use quant::QuantRecord;
pub use rows::{Overlap, POINTS, RowWise};
pub use rules::{Error, Rule};
pub use section::{SectionKind, SectionRecord};
pub use shape::{MAX_RANK, Shape};
pub use tensor::{
    DType, Layout, PAIR, PAIR_GROUP, PANEL, PANEL_GROUP, Place, TensorRecord, TensorType, pairs_at,
};

/// The first eight bytes of every file. Not text, not valid UTF-8, and damaged by any transfer
/// that translates line ends.
pub const MAGIC: [u8; 8] = *b"\x89FPK\r\n\x1a\n";

/// Format version. Raised only when an old reader would misread a new file: a record changes its
/// size or a field its meaning, or a critical section gets another layout. A new operator, section
/// kind or metadata key does not raise it.
pub const VERSION: u32 = 1;

/// Alignment in bytes that the whole file needs in memory, and the least alignment of a section.
pub const ALIGN: u32 = 16;
