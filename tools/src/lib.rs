//! Flattens models of Keras and TensorFlow Lite to `.fpk` files that run in place on boards and gateways.
//!
//! The way of a model: [`import`] reads a file into layers and weights and these into a [`graph`];
//! [`mod@reference`] predicts what the graph computes; [`passes`] rewrite it; [`memory`] plans where its
//! tensors lie; [`emit`] lays it out; [`build`] does all of that and runs the result.
#![forbid(unsafe_code)]

pub mod array;
pub mod build;
pub mod commands;
pub mod data;
pub mod emit;
pub mod exact;
pub mod firmware;
pub mod fixed;
pub mod golden;
pub mod graph;
pub mod half;
pub mod import;
pub mod isa;
pub mod measure;
pub mod memory;
pub mod observe;
pub mod ops;
pub mod passes;
pub mod predict;
pub mod quant;
pub mod reference;
#[cfg(unix)]
pub mod serve;
