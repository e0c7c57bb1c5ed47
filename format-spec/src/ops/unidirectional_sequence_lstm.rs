//! Long short-term memory over a sequence: see [`super::recurrence`], with four gates in the order input,
//! forget, cell, output, a bias `[4, S]`, and the states hidden `[N, S]` and cell `[N, S]`.

use super::recurrence::{self, Cell, Recurrence};
use super::{PLAIN, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `unidirectional_sequence_lstm`: 36 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct UnidirectionalSequenceLstmParams {
    /// The walk over the sequence, and the functions.
    pub walk: Recurrence,
    /// Bound on the magnitude of the cell; +∞ for none.
    pub cell_clip: f32,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<UnidirectionalSequenceLstmParams>() as u32,
    output: |params, inputs| output(params, inputs, DType::F32),
    macs: recurrence::macs,
    weights: recurrence::WEIGHTS,
    packed: |_| &[Layout::Gates16],
    states: 2,
    ..PLAIN
};

/// The rule for weights of type `dtype`.
pub(crate) fn output(params: &[u8], inputs: &[TensorType], dtype: DType) -> Result<TensorType, Misfit> {
    let p = read::<UnidirectionalSequenceLstmParams>(params)?;
    if p.cell_clip.is_nan() || p.cell_clip < 0.0 {
        return Err(Misfit::Params);
    }
    p.walk.output(Cell { gates: 4, biases: 4, states: &[1, 1] }, inputs, dtype)
}
