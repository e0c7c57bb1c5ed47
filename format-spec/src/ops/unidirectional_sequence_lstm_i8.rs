//! Long short-term memory over a sequence of 8-bit integers, with a cell of 16 bits: x `[N, T, I]` or
//! `[T, N, I]`, w `[4, S, I]`, recurrent `[4, S, S]`, bias `[2, 4, S]`, requant `[11, 2]`, hidden `[N, S]`,
//! cell `[N, S]` → y as x, with S in the place of I. Gates are in the order input, forget, cell, output;
//! hidden and cell are states.

use super::recurrence::{self, Extents};
use super::{OutputI8, PLAIN, inputs_of, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `unidirectional_sequence_lstm_i8`: 24 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct UnidirectionalSequenceLstmI8Params {
    /// 1 if x is `[T, N, I]`, 0 if it is `[N, T, I]`.
    pub time_major: u32,
    /// Bound on the magnitude of the cell, from 0 to 32768, which is none.
    pub cell_clip: i32,
    /// The cell's integers stand for `2^(cell_shift − 12)` each: from −15 to 14.
    pub cell_shift: i32,
    /// What happens to a product that becomes y and hidden once it is multiplied.
    pub y: OutputI8,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<UnidirectionalSequenceLstmI8Params>() as u32,
    output,
    macs: recurrence::macs,
    multipliers: Some(4),
    states: 2,
    ..PLAIN
};

const OPERANDS: [DType; 7] = [DType::I8, DType::I8, DType::I8, DType::I32, DType::I32, DType::I8, DType::I16];

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<UnidirectionalSequenceLstmI8Params>(params)?;
    p.y.valid()?;
    if !(0..=32768).contains(&p.cell_clip) || !(-15..=14).contains(&p.cell_shift) {
        return Err(Misfit::Params);
    }
    let [&x, &w, &recurrent, bias, requant, &hidden, &cell] = inputs_of(inputs, OPERANDS)?;
    let Extents { batch, units, .. } = recurrence::extents(p.time_major, 4, [x, w, recurrent])?;
    if let Some((_, at)) = [(hidden, 5), (cell, 6)].iter().find(|(state, _)| state.dims() != [batch, units]) {
        return Err(Misfit::Shape(*at));
    }
    if bias.dims() != [2, 4, units] {
        return Err(Misfit::Shape(3));
    }
    if requant.dims() != [11, 2] {
        return Err(Misfit::Shape(4));
    }
    Ok(TensorType { dtype: DType::I8, shape: x.with_dim(2, units) })
}
