//! Reductions over any axes.

use flatpack_format::OpCode;
use flatpack_format::ops::mean::ReduceParams;

use super::super::normalization::l2_normalized;
use super::{int_or, wrong};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::Lowering;
use crate::import::keras::network::Config;

/// The axes to reduce: by default all of them.
pub(super) fn axes_of(low: &Lowering, settings: &Config, x: TensorId) -> Result<Vec<usize>, Fault> {
    match settings.get("axis") {
        None => Ok((0..low.graph.dims(x).len()).collect()),
        Some(_) => match settings.ints("axis")?.as_slice() {
            [] => Ok(Vec::new()),
            axes => low.axes(x, axes),
        },
    }
}

pub(super) fn reduce(
    low: &mut Lowering,
    op: OpCode,
    settings: &Config,
    x: TensorId,
) -> Result<TensorId, Fault> {
    let axes = axes_of(low, settings, x)?;
    over(low, op, x, &axes, settings.bool_or("keepdims", false)?)
}

/// A reduction over these axes, in rising order. Those that are no neighbours move to the end first.
pub(in super::super) fn over(
    low: &mut Lowering,
    op: OpCode,
    x: TensorId,
    axes: &[usize],
    keep_dims: bool,
) -> Result<TensorId, Fault> {
    let (Some(&first), Some(&last)) = (axes.first(), axes.last()) else { return Ok(x) };
    let axis_count = axes.len() as u32;
    if last - first + 1 == axes.len() {
        let params = ReduceParams { axis: first as u32, axis_count, keep_dims: u32::from(keep_dims) };
        return low.node(op, params, &[x]);
    }
    let dims = low.dims(x);
    let others: Vec<usize> = (0..dims.len()).filter(|axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = others.iter().chain(axes).copied().collect();
    let x = low.transpose(x, &order)?;
    let params = ReduceParams { axis: others.len() as u32, axis_count, keep_dims: 0 };
    let y = low.node(op, params, &[x])?;
    if !keep_dims {
        return Ok(y);
    }
    let kept: Vec<u32> =
        (0..dims.len()).map(|axis| if axes.contains(&axis) { 1 } else { dims[axis] }).collect();
    low.reshape(y, &kept)
}

/// The mean of the squared differences from the mean.
pub(super) fn variance(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let axes = axes_of(low, settings, x)?;
    let mean = over(low, OpCode::Mean, x, &axes, true)?;
    let centred = low.binary(OpCode::Sub, x, mean)?;
    let squares = low.unary(OpCode::Square, centred)?;
    over(low, OpCode::Mean, squares, &axes, settings.bool_or("keepdims", false)?)
}

pub(super) fn standard_deviation(
    low: &mut Lowering,
    settings: &Config,
    x: TensorId,
) -> Result<TensorId, Fault> {
    let variance = variance(low, settings, x)?;
    low.unary(OpCode::Sqrt, variance)
}

/// `ln Σ eˣ`, with the largest x taken out of the sum.
pub(super) fn log_sum_exp(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let axes = axes_of(low, settings, x)?;
    let max = over(low, OpCode::ReduceMax, x, &axes, true)?;
    let shifted = low.binary(OpCode::Sub, x, max)?;
    let powers = low.unary(OpCode::Exp, shifted)?;
    let sum = over(low, OpCode::Sum, powers, &axes, true)?;
    let log = low.unary(OpCode::Log, sum)?;
    let y = low.binary(OpCode::Add, log, max)?;
    if settings.bool_or("keepdims", false)? {
        return Ok(y);
    }
    let dims = low.dims(y);
    let left: Vec<u32> = (0..dims.len()).filter(|axis| !axes.contains(axis)).map(|axis| dims[axis]).collect();
    low.reshape(y, &left)
}

/// `x / max(|x|, epsilon)`, the norm being the root of the sum of squares along one axis.
pub(super) fn normalize(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    if int_or(settings, "order", 2)? != 2 {
        return Err(wrong("`order`", int_or(settings, "order", 2)?.to_string(), "2"));
    }
    let epsilon = settings.f64_or("epsilon", 1e-7)?;
    l2(low, settings, x, epsilon * epsilon)
}

/// `x / √max(Σ x², epsilon)`.
pub(super) fn l2_normalize(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    l2(low, settings, x, settings.f64_or("epsilon", 1e-12)?)
}

fn l2(low: &mut Lowering, settings: &Config, x: TensorId, epsilon: f64) -> Result<TensorId, Fault> {
    let axes = match settings.0.get("axis") {
        None => low.axes(x, &[-1])?,
        Some(_) => axes_of(low, settings, x)?,
    };
    l2_normalized(low, x, &axes, epsilon as f32)
}
