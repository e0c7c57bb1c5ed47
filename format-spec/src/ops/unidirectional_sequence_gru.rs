//! Gated recurrent units over a sequence: see [`super::recurrence`], with three gates in the order update,
//! reset, candidate. Where the reset gate follows the product, the bias is `[4, S]`, its last row being for the
//! product of the candidate with what was, and the state is hidden `[N, S]`. Where it comes before, the bias
//! is `[3, S]` and the state `[N, 2, S]`: hidden, and room for what is multiplied.

use super::recurrence::{self, Cell, Recurrence};
use super::{PLAIN, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `unidirectional_sequence_gru`: 36 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct UnidirectionalSequenceGruParams {
    /// The walk over the sequence, and the functions.
    pub walk: Recurrence,
    /// 1 if the reset gate multiplies the candidate's product with hidden, 0 if it multiplies hidden before.
    pub reset_after: u32,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<UnidirectionalSequenceGruParams>() as u32,
    output: |params, inputs| output(params, inputs, DType::F32),
    macs: recurrence::macs,
    weights: recurrence::WEIGHTS,
    packed: |_| &[Layout::Gates16],
    states: 1,
    ..PLAIN
};

/// The rule for weights of type `dtype`.
pub(crate) fn output(params: &[u8], inputs: &[TensorType], dtype: DType) -> Result<TensorType, Misfit> {
    let p = read::<UnidirectionalSequenceGruParams>(params)?;
    let cell = match p.reset_after {
        0 => Cell { gates: 3, biases: 3, states: &[2] },
        1 => Cell { gates: 3, biases: 4, states: &[1] },
        _ => return Err(Misfit::Params),
    };
    p.walk.output(cell, inputs, dtype)
}
