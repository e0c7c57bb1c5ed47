//! A recurrent layer without gates over a sequence: see [`super::recurrence`], with one gate, which is the
//! candidate, a bias `[1, S]`, and the state hidden `[N, S]`.

use super::recurrence::{self, Activation, Cell, Recurrence};
use super::{PLAIN, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `unidirectional_sequence_rnn`: 32 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct UnidirectionalSequenceRnnParams {
    /// The walk over the sequence, and the function; that of gates is linear, since there are none.
    pub walk: Recurrence,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<UnidirectionalSequenceRnnParams>() as u32,
    output: |params, inputs| output(params, inputs, DType::F32),
    macs: recurrence::macs,
    weights: recurrence::WEIGHTS,
    packed: |_| &[Layout::Gates16],
    states: 1,
    ..PLAIN
};

/// The rule for weights of type `dtype`.
pub(crate) fn output(params: &[u8], inputs: &[TensorType], dtype: DType) -> Result<TensorType, Misfit> {
    let p = read::<UnidirectionalSequenceRnnParams>(params)?;
    if p.walk.gate_activation != Activation::Linear as u32 {
        return Err(Misfit::Params);
    }
    p.walk.output(Cell { gates: 1, biases: 1, states: &[1] }, inputs, dtype)
}
