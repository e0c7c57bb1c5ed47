//! What the loops take beside activations: weights, and what becomes of sums.

use super::{PANEL_LEN, Quad};
use flatpack_format::ops::{Clamp, Multiplier, OutputI8};

/// What becomes of the sums of outputs that are reals.
#[derive(Clone, Copy, Debug)]
pub struct OutputsF32<'a> {
    /// One for all outputs, or one for each; not looked at where weights have none.
    pub scales: &'a [f32],
    /// Empty for none.
    pub bias: &'a [f32],
    /// Bounds on y.
    pub clamp: Clamp,
}

/// What becomes of the sums of outputs of 8 bits.
#[derive(Clone, Copy, Debug)]
pub struct OutputsI8<'a> {
    /// What sums begin with.
    pub bias: &'a [i32],
    /// A multiplier for all outputs, or one for each.
    pub requant: &'a [Multiplier],
    /// See [`Multiplier::all_plain`].
    pub plain: bool,
    /// Zero point and bounds.
    pub y: OutputI8,
}

/// Weights of 16 units of all gates: a panel of layout `gates16`.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a, W> {
    /// For each element of what is multiplied, a row for each gate.
    pub w: &'a [[W; PANEL_LEN]],
    /// Number of gates.
    pub gates: usize,
}

/// Rows of weights for products with patches.
#[derive(Clone, Copy, Debug)]
pub struct RowsI8<'a> {
    /// A row for each output.
    pub w: &'a [i8],
    /// Elements of a row.
    pub depth: usize,
    /// What taps have that are not seen.
    pub zero: i8,
    /// What becomes of the sums.
    pub outputs: OutputsI8<'a>,
    /// Room for widened activations.
    pub quads: &'a [Quad],
}
