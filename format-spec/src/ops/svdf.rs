//! Filters of rank 1 over a feature and over time: x `[N, I]`, w_feature `[F, I]`, w_time `[F, M]`, bias
//! `[U]`, state `[N, F, M]` → y `[N, U]`, with F = U · rank. The last M features of each filter are the
//! state.

use super::{Clamp, PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::shape::Shape;
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `svdf`: 12 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct SvdfParams {
    /// Filters whose results make one output.
    pub rank: u32,
    /// Bounds on y.
    pub clamp: Clamp,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<SvdfParams>() as u32, output, macs, states: 1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<SvdfParams>(params)?;
    p.clamp.valid()?;
    let [x, w_feature, w_time, bias, state] = f32_inputs(inputs)?;
    let operands = [(x, 0), (w_feature, 1), (w_time, 2), (bias, 3), (state, 4)];
    Ok(TensorType::f32(shape(p.rank, operands)?))
}

/// The output of x, w_feature, w_time, bias and state, each with the number of its operand.
pub(crate) fn shape(rank: u32, operands: [(Shape, u8); 5]) -> Result<Shape, Misfit> {
    let [(x, x_at), (w_feature, feature_at), (w_time, time_at), (bias, bias_at), (state, state_at)] =
        operands;
    let &[batch, inputs] = x.dims() else { return Err(Misfit::Rank(x_at)) };
    let &[filters, depth] = w_feature.dims() else { return Err(Misfit::Rank(feature_at)) };
    let &[time_filters, memory] = w_time.dims() else { return Err(Misfit::Rank(time_at)) };
    if depth != inputs {
        return Err(Misfit::Shape(feature_at));
    }
    if time_filters != filters {
        return Err(Misfit::Shape(time_at));
    }
    let units = filters.checked_div(rank).ok_or(Misfit::Params)?;
    if units == 0 || units.checked_mul(rank) != Some(filters) {
        return Err(Misfit::Params);
    }
    if bias.dims() != [units] {
        return Err(Misfit::Shape(bias_at));
    }
    if state.dims() != [batch, filters, memory] {
        return Err(Misfit::Shape(state_at));
    }
    Shape::new(&[batch, units]).ok_or(Misfit::Overflow)
}

fn macs(_: &[u8], inputs: &[TensorType], _: &TensorType) -> u64 {
    let len = |at: usize| inputs.get(at).and_then(|t| t.shape.len()).map_or(0, u64::from);
    let batch = inputs.first().map_or(0, |x| u64::from(x.shape.dim(0)));
    batch.saturating_mul(len(1).saturating_add(len(2)))
}
