//! Runs `.fpk` models in place: `no_std`, no heap, no panics.
//!
//! A model goes through three moments. **Parse**: are the bytes well formed? That is
//! [`Model::parse`]. **Check**: does each step meet its operator's rule, on which its kernel relies? That is
//! [`Session::load`]. **Run**: [`Session::run`] multiplies, and asks nothing again.
//!
//! ```
//! use flatpack_runtime::{Model, Session, ops};
//!
//! /// Gives the most likely class of a picture.
//! fn classify(file: &[u8], arena: &mut [u8], pixels: &[f32]) -> Option<usize> {
//!     let model = Model::parse(file).ok()?;
//!     let mut session = Session::load(model, ops::ALL, arena).ok()?;
//!     session.check_goldens().ok()?;
//!     session.input::<f32>(0)?.copy_from_slice(pixels);
//!     session.run().ok()?;
//!     let classes = session.output::<f32>(0)?;
//!     (0..classes.len()).max_by(|&a, &b| classes[a].total_cmp(&classes[b]))
//! }
//! ```
#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod arch;
mod conv;
mod depthwise;
pub mod fixed;
mod gemm;
mod gemm_i8;
pub mod golden;
mod included;
#[cfg(any(test, feature = "std"))]
mod isa;
mod kernel;
mod lanes;
#[cfg(feature = "mmap")]
mod mapped;
pub mod math;
mod matrices;

#[cfg(test)]
mod one_step;
#[cfg(test)]
mod one_step_i8;
mod operands;
pub mod ops;
#[cfg(feature = "std")]
mod phases;
mod pieces;
mod rows;
mod session;
mod threads;
mod walk;
pub mod weight;
mod window;

pub use flatpack_format::{
    Block, Case, DType, Error as ParseError, Layout, Misfit, Model, OpCode, Place, Shape, Step, Tensor,
};
#[cfg(feature = "macros")]
#[doc(hidden)]
pub use flatpack_macros::{include_features_from, include_model_from};
pub use included::{Aligned, FileError, Input, Output, Port, Quant};
#[cfg(any(test, feature = "std"))]
pub use isa::Isa;
pub use kernel::{Kernel, Node};
#[cfg(feature = "mmap")]
pub use mapped::{Arena, MappedModel, OpenError, OpenFault, OpenOptions, WatchedModel};
pub use operands::{Operands, Reads};
pub use session::{LoadError, Progress, RunError, Session};
