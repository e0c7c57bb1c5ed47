//! Operators along axes: means and other reductions, softmax, norms.

use flatpack_format::OpCode;
use flatpack_format::ops::l2_normalization::L2NormalizationParams;
use flatpack_format::ops::log_softmax::LogSoftmaxParams;
use flatpack_format::ops::mean::ReduceParams;
use flatpack_format::ops::softmax::SoftmaxParams;

use super::{Lower, one};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::tflite::lower::{Lowering, Value, clamp, misfit};
use crate::import::tflite::model::Operator;
use crate::import::tflite::options::{Activation, Fused, Reducer, Softmax};
use flatpack_format::ops::Clamp;

pub(super) const OPERATORS: &[(&str, Lower)] = &[
    ("L2_NORMALIZATION", l2_normalization),
    ("LOG_SOFTMAX", |low, operator| {
        let x = low.x(operator, 0)?;
        let axis = low.axis(x, -1)? as u32;
        one(low.node(OpCode::LogSoftmax, LogSoftmaxParams { axis }, &[x])?)
    }),
    ("MEAN", |low, operator| reduce(low, operator, OpCode::Mean)),
    ("REDUCE_MAX", |low, operator| reduce(low, operator, OpCode::ReduceMax)),
    ("REDUCE_MIN", |low, operator| reduce(low, operator, OpCode::ReduceMin)),
    ("REDUCE_PROD", |low, operator| reduce(low, operator, OpCode::ReduceProd)),
    ("SOFTMAX", softmax),
    ("SUM", |low, operator| reduce(low, operator, OpCode::Sum)),
];

fn reduce(low: &mut Lowering<'_, '_>, operator: &Operator<'_>, op: OpCode) -> Result<Vec<Value>, Fault> {
    let keep_dims = operator.options::<Reducer>()?.keep_dims;
    let x = low.x(operator, 0)?;
    let wanted = low.integers(operator, 1)?;
    let mut axes = Vec::new();
    for &axis in &wanted.values {
        let axis = low.axis(x, axis)?;
        if !axes.contains(&axis) {
            axes.push(axis);
        }
    }
    axes.sort_unstable();
    let Some(&first) = axes.first() else { return one(x) };
    let (dims, axis_count) = (low.dims(x), axes.len() as u32);
    if axes.iter().enumerate().all(|(k, &axis)| axis == first + k) {
        let params = ReduceParams { axis: first as u32, axis_count, keep_dims: keep_dims.into() };
        return one(low.node(op, params, &[x])?);
    }
    // Axes that are no neighbours are brought together.
    let order: Vec<usize> =
        (0..dims.len()).filter(|axis| !axes.contains(axis)).chain(axes.iter().copied()).collect();
    let x = low.transpose(x, &order)?;
    let params = ReduceParams { axis: dims.len() as u32 - axis_count, axis_count, keep_dims: 0 };
    let reduced = low.node(op, params, &[x])?;
    if !keep_dims {
        return one(reduced);
    }
    low.quantise_as_output(reduced, operator, 0)?;
    let kept: Vec<u32> =
        dims.iter().enumerate().map(|(axis, &dim)| if axes.contains(&axis) { 1 } else { dim }).collect();
    one(low.reshape(reduced, &kept)?)
}

fn softmax(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let beta = operator.options::<Softmax>()?.beta;
    let mut x = low.x(operator, 0)?;
    if beta != 1.0 {
        x = scaled(low, x, beta)?;
    }
    let axis = low.axis(x, -1)? as u32;
    one(low.node(OpCode::Softmax, SoftmaxParams { axis }, &[x])?)
}

/// `x · factor`; where integers stand for x, the same integers stand for the result.
fn scaled(low: &mut Lowering<'_, '_>, x: TensorId, factor: f32) -> Result<TensorId, Fault> {
    if !(factor.is_finite() && factor > 0.0) {
        return Err(misfit("beta", factor.to_string(), "a positive number"));
    }
    let by = low.scalar(factor);
    let y = low.binary(OpCode::Mul, x, by, Clamp::NONE)?;
    let mut quant = low.graph.tensors[x.0].quant.clone();
    for scale in quant.iter_mut().flat_map(|quant| &mut quant.scales) {
        *scale *= factor;
    }
    low.graph.tensors[y.0].quant = quant;
    Ok(y)
}

fn l2_normalization(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let activation = operator.options::<Fused>()?.activation;
    if activation != Activation::None {
        let clamp = clamp(activation)?;
        return Err(misfit("the fused activation", format!("{clamp:?}"), "none"));
    }
    let x = low.x(operator, 0)?;
    let axis = low.axis(x, -1)? as u32;
    // TensorFlow Lite bounds the norm by 10⁻⁶ from below, the operator its square.
    one(low.node(
        OpCode::L2Normalization,
        L2NormalizationParams { axis, axis_count: 1, epsilon: 1e-12 },
        &[x],
    )?)
}
