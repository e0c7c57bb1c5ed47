//! Long short-term memory over a sequence: x `[N, T, I]` or `[T, N, I]`, w `[4, S, I]`, recurrent
//! `[4, S, S]`, bias `[4, S]`, hidden `[N, S]`, cell `[N, S]` → y as x, with S in the place of I. Gates
//! are in the order input, forget, cell, output; hidden and cell are states.

use super::{PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::shape::Shape;
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `unidirectional_sequence_lstm`: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct UnidirectionalSequenceLstmParams {
    /// 1 if x is `[T, N, I]`, 0 if it is `[N, T, I]`.
    pub time_major: u32,
    /// Bound on the magnitude of the cell; +∞ for none.
    pub cell_clip: f32,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<UnidirectionalSequenceLstmParams>() as u32,
    output,
    macs,
    states: 2,
    ..PLAIN
};

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<UnidirectionalSequenceLstmParams>(params)?;
    if p.cell_clip.is_nan() || p.cell_clip < 0.0 {
        return Err(Misfit::Params);
    }
    let [x, w, recurrent, bias, hidden, cell] = f32_inputs(inputs)?;
    let shape = shape(p.time_major, [x, w, recurrent], [(hidden, 4), (cell, 5)])?;
    if bias.dims() != [4, w.dim(1)] {
        return Err(Misfit::Shape(3));
    }
    Ok(TensorType::f32(shape))
}

/// The output of x, w and recurrent, and of the states, each with the number of its operand.
pub(crate) fn shape(
    time_major: u32,
    [x, w, recurrent]: [Shape; 3],
    states: [(Shape, u8); 2],
) -> Result<Shape, Misfit> {
    let &[first, second, inputs] = x.dims() else { return Err(Misfit::Rank(0)) };
    let &[gates, units, depth] = w.dims() else { return Err(Misfit::Rank(1)) };
    let batch = match time_major {
        0 => first,
        1 => second,
        _ => return Err(Misfit::Params),
    };
    if gates != 4 || depth != inputs {
        return Err(Misfit::Shape(1));
    }
    if recurrent.dims() != [4, units, units] {
        return Err(Misfit::Shape(2));
    }
    match states.iter().find(|(state, _)| state.dims() != [batch, units]) {
        Some(&(_, at)) => Err(Misfit::Shape(at)),
        None => Ok(x.with_dim(2, units)),
    }
}

pub(crate) fn macs(_: &[u8], inputs: &[TensorType], y: &TensorType) -> u64 {
    let len = |at: usize| inputs.get(at).and_then(|t| t.shape.len()).map_or(0, u64::from);
    let steps = u64::from(y.shape.dim(0)) * u64::from(y.shape.dim(1));
    steps.saturating_mul(len(1).saturating_add(len(2)))
}
