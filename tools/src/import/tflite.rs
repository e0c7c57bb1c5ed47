//! Models of TensorFlow Lite, `.tflite`.
//!
//! [`Model::read`] takes the flatbuffer apart and checks that each part is there; [`Saved::lower`]
//! makes a graph of operators of it.
//!
//! The file's format is the published schema of TensorFlow Lite; the slots and numbers in
//! `model.rs`, `options.rs` and `builtins.rs` are its field positions, in the order of declaration.

mod builtins;
mod flatbuffer;
mod labels;
mod lower;
mod model;
mod operators;
mod options;
mod saved;

pub use model::{
    ElementType, Metadata, Model, Operator, OperatorCode, Quantization, Signature, Subgraph, Tensor,
};
pub use operators::supported;
pub use options::{
    Activation, BatchMatmul, Blocks, CallOnce, Concatenation, Conv2d, DepthwiseConv2d, FullyConnected, Fused,
    Gather, Gelu, LeakyRelu, MirrorPad, Options, OptionsTable, Pack, Padding, Pool2d, Reducer, Reshape,
    ResizeBilinear, ResizeNearestNeighbor, Softmax, Split, Squeeze, StridedSlice, Svdf, TransposeConv,
    UnidirectionalSequenceLstm, Unpack, VarHandle,
};
pub use saved::{Saved, Summary};
