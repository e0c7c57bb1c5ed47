//! One module per operator: what the passes and the reference need to know of it.
//!
//! The operator's record and shape rule are in `flatpack-format`, its kernel in
//! `flatpack-runtime`, both under the same name.

use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

mod binary;
mod unary;

pub mod abs;
pub mod add;
pub mod clip;
pub mod conv_2d;
pub mod fully_connected;

/// What the passes and the reference need to know of an operator.
#[derive(Clone, Copy)]
pub struct Operator {
    /// The operator.
    pub op: OpCode,
    /// Adds the operator to tract's graph, by formulas of its own. `inputs` are tract's outlets for
    /// the node's inputs, in order, constants included.
    pub reference: fn(&mut Reference, &Graph, &Node, &[OutletId]) -> TractResult<OutletId>,
    /// Inputs whose memory the output may take, one bit each: what the kernel's check allows.
    pub in_place: u32,
    /// Where the record holds a [`flatpack_format::ops::Clamp`], in bytes: activations fuse there.
    pub clamp: Option<usize>,
    /// The operator is linear in its weights (input 1) and a bias (input 2): per-output factors and
    /// terms fold into them.
    pub linear: Option<Linear>,
    /// Another way to write the same weights for a machine: `panel16`.
    pub packs: fn(&Node) -> bool,
}

/// How weights belong to outputs and to input channels.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// Which output channel uses the weight with this flat index.
    pub output_of: fn(&Graph, &Node, usize) -> usize,
    /// Which input channel it multiplies.
    pub input_of: fn(&Graph, &Node, usize) -> usize,
    /// Whether every output sees all its taps, so that a term added to all inputs is a constant
    /// added to the outputs.
    pub unpadded: fn(&Graph, &Node) -> bool,
}

impl Operator {
    /// An operator that keeps its output apart, fuses nothing and folds nothing.
    pub const fn new(
        op: OpCode,
        reference: fn(&mut Reference, &Graph, &Node, &[OutletId]) -> TractResult<OutletId>,
    ) -> Self {
        Self { op, reference, in_place: 0, clamp: None, linear: None, packs: |_| false }
    }
}

/// Every operator, by opcode.
pub const ALL: &[Operator] =
    &[conv_2d::OPERATOR, fully_connected::OPERATOR, add::OPERATOR, clip::OPERATOR, abs::OPERATOR];

/// The operator with this opcode.
///
/// # Panics
/// Never: a test demands that [`ALL`] is complete.
pub fn operator(op: OpCode) -> &'static Operator {
    ALL.iter().find(|o| o.op == op).unwrap_or_else(|| panic!("operator {} has no module", op.name()))
}
