//! Operations that compute each element, and products of matrices.

use flatpack_format::OpCode;
use flatpack_format::ops::batch_matmul::BatchMatmulParams;
use flatpack_format::ops::clip::ClipParams;
use flatpack_format::ops::{Clamp, fully_connected::FullyConnectedParams};

use super::super::einsum;
use super::super::reshaping::broadcast;
use super::comparison::truth;
use super::{int_or, two, wrong};
use crate::graph::{TensorId, shape};
use crate::import::Fault;
use crate::import::keras::lower::Lowering;
use crate::import::keras::network::{Arg, Config};

/// `⌊a / b⌋`.
pub(super) fn floor_divide(low: &mut Lowering, _: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let [a, b] = two(low, args)?;
    let quotient = low.binary(OpCode::Div, a, b)?;
    Ok(vec![low.unary(OpCode::Floor, quotient)?])
}

/// `(a − b)²`.
pub(super) fn squared_difference(
    low: &mut Lowering,
    _: &Config,
    args: &[Arg],
) -> Result<Vec<TensorId>, Fault> {
    let [a, b] = two(low, args)?;
    Ok(vec![low.binary(OpCode::SquaredDifference, a, b)?])
}

/// `aᵇ`; the exponents that have an operator of their own become that.
pub(super) fn power(low: &mut Lowering, _: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let exponent = match args {
        [Arg::Tensor(_), Arg::Constant(value)] => value.as_f64(),
        _ => None,
    };
    let [a, b] = two(low, args)?;
    Ok(vec![match exponent {
        Some(1.0) => a,
        Some(2.0) => low.unary(OpCode::Square, a)?,
        Some(0.5) => low.unary(OpCode::Sqrt, a)?,
        Some(-0.5) => low.unary(OpCode::Rsqrt, a)?,
        Some(-1.0) => reciprocal(low, a)?,
        _ => low.binary(OpCode::Pow, a, b)?,
    }])
}

pub(super) fn reciprocal(low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
    let one = low.scalar(1.0);
    low.binary(OpCode::Div, one, x)
}

/// The logarithm to another base, whose natural logarithm is given.
pub(super) fn log(low: &mut Lowering, x: TensorId, of_base: f32) -> Result<TensorId, Fault> {
    let natural = low.unary(OpCode::Log, x)?;
    let of_base = low.scalar(of_base);
    low.binary(OpCode::Div, natural, of_base)
}

/// A function of `x + before`, plus `after`.
pub(super) fn shifted(
    low: &mut Lowering,
    function: OpCode,
    x: TensorId,
    [before, after]: [f32; 2],
) -> Result<TensorId, Fault> {
    let added = |low: &mut Lowering, x: TensorId, term: f32| {
        if term == 0.0 {
            return Ok(x);
        }
        let term = low.scalar(term);
        low.binary(OpCode::Add, x, term)
    };
    let x = added(low, x, before)?;
    let y = low.unary(function, x)?;
    added(low, y, after)
}

/// The sum of all elements up to each along an axis, by default of the flattened tensor: a product with a
/// triangle of ones.
pub(super) fn running_sum(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let (x, axis) = match settings.get("axis") {
        Some(_) => (x, int_or(settings, "axis", 0)?),
        None => (low.reshape(x, &[low.graph.dims(x).iter().product()])?, 0),
    };
    low.over_last_axes(x, &[axis], |low, x, _| {
        let len = low.graph.tensor(x).shape().last();
        let ones = (0..len).flat_map(|to| (0..len).map(move |from| if from <= to { 1.0 } else { 0.0 }));
        let ones = low.constant("triangle", &[len, len], ones.collect());
        low.node(OpCode::FullyConnected, FullyConnectedParams { clamp: Clamp::NONE }, &[x, ones])
    })
}

/// The sum of products over the last axis of `a` and the last but one of `b`, or its only one.
pub(super) fn dot(low: &mut Lowering, _: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let [a, b] = two(low, args)?;
    let ranks = [a, b].map(|x| low.graph.dims(x).len());
    if ranks.contains(&0) {
        return Ok(vec![low.binary(OpCode::Mul, a, b)?]);
    }
    let letters = |from: usize, count: usize| -> String { ('b'..).skip(from).take(count).collect() };
    let of_a = letters(0, ranks[0] - 1);
    let of_b = letters(ranks[0] - 1, ranks[1] - 1);
    let (before, last) = of_b.split_at(of_b.len().saturating_sub(1));
    let equation = format!("{of_a}a,{before}a{last}->{of_a}{of_b}");
    Ok(vec![einsum::einsum(low, &equation, &[a, b])?])
}

pub(super) fn clip(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let clamp = Clamp { min: settings.f64("x_min")? as f32, max: settings.f64("x_max")? as f32 };
    low.node(OpCode::Clip, ClipParams { clamp }, &[x])
}

pub(super) fn round(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    match int_or(settings, "decimals", 0)? {
        0 => low.unary(OpCode::Round, x),
        decimals => Err(wrong("`decimals`", decimals.to_string(), "0")),
    }
}

/// Floating point numbers of any width are computed as float32; so are integers, and booleans as 1 and 0.
pub(super) fn cast(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    match settings.str_or("dtype", "float32")?.trim_start_matches("<dtype: '").trim_end_matches("'>") {
        "float16" | "bfloat16" | "float32" | "float64" => Ok(x),
        "bool" => truth(low, x),
        "int32" | "int64" => truncated(low, x),
        other => Err(Fault::Unsupported {
            what: format!("a conversion to {other}"),
            remedy: "build the model without it: flatpack computes in float32".into(),
        }),
    }
}

/// Rounded towards zero.
pub(super) fn truncated(low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
    let (size, sign) = (low.unary(OpCode::Abs, x)?, low.unary(OpCode::Sign, x)?);
    let size = low.unary(OpCode::Floor, size)?;
    low.binary(OpCode::Mul, size, sign)
}

/// Sums of products in Einstein's notation.
pub(super) fn einsum(low: &mut Lowering, settings: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let operands = args.iter().map(|arg| low.operand(arg)).collect::<Result<Vec<_>, _>>()?;
    Ok(vec![einsum::einsum(low, settings.str("subscripts")?, &operands)?])
}

/// Product of the matrices in the last two axes, with the axes before broadcast. A tensor of one axis is
/// a row on the left, a column on the right.
pub(super) fn matmul(low: &mut Lowering, settings: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let [mut a, mut b] = two(low, args)?;
    if settings.bool_or("transpose_a", false)? {
        a = transposed(low, a)?;
    }
    let mut transpose_b = u32::from(settings.bool_or("transpose_b", false)?);
    let (dims_a, dims_b) = (low.dims(a), low.dims(b));
    let (is_row, is_column) = (dims_a.len() == 1, dims_b.len() == 1);
    if is_row {
        a = low.reshape(a, &[1, dims_a[0]])?;
    }
    if is_column {
        b = low.reshape(b, &[1, dims_b[0]])?;
        transpose_b = 1;
    }
    let (dims_a, dims_b) = (low.dims(a), low.dims(b));
    let (Some((batch_a, &[rows, depth])), Some((batch_b, matrix_b))) =
        (dims_a.split_last_chunk::<2>(), dims_b.split_last_chunk::<2>())
    else {
        return Err(wrong("the call", format!("shapes {dims_a:?} and {dims_b:?}"), "matrices"));
    };
    let y = if batch_b.is_empty() {
        // One matrix for all: the axes before are rows.
        let rows = batch_a.iter().product::<u32>() * rows;
        let a = low.reshape(a, &[rows, depth])?;
        low.node(OpCode::BatchMatmul, BatchMatmulParams { transpose_b }, &[a, b])?
    } else {
        let batch = broadcast_shape(batch_a, batch_b).ok_or_else(|| {
            wrong("the call", format!("shapes {dims_a:?} and {dims_b:?}"), "such as broadcast")
        })?;
        let a = broadcast(low, a, &[&batch[..], &[rows, depth]].concat())?;
        let b = broadcast(low, b, &[&batch[..], &matrix_b[..]].concat())?;
        let y = low.node(OpCode::BatchMatmul, BatchMatmulParams { transpose_b }, &[a, b])?;
        return shaped(low, y, &batch, is_row, is_column).map(|y| vec![y]);
    };
    let columns = low.dims(y)[1];
    let y = low.reshape(y, &[batch_a, &[rows, columns]].concat())?;
    shaped(low, y, batch_a, is_row, is_column).map(|y| vec![y])
}

/// A product without the axes that were added to the operands.
fn shaped(
    low: &mut Lowering,
    y: TensorId,
    batch: &[u32],
    is_row: bool,
    is_column: bool,
) -> Result<TensorId, Fault> {
    let dims = low.dims(y);
    let [rows, columns] = [dims[dims.len() - 2], dims[dims.len() - 1]];
    let mut kept = batch.to_vec();
    kept.extend((!is_row).then_some(rows));
    kept.extend((!is_column).then_some(columns));
    low.reshape(y, &kept)
}

fn broadcast_shape(a: &[u32], b: &[u32]) -> Option<Vec<u32>> {
    let of = |dims: &[u32]| shape(&dims.iter().map(|&extent| extent as usize).collect::<Vec<_>>());
    Some(of(a)?.broadcast(&of(b)?)?.dims().to_vec())
}

/// `x` with its last two axes exchanged.
fn transposed(low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
    let rank = low.graph.dims(x).len();
    if rank < 2 {
        return Err(wrong("the call", "a tensor of one axis", "a matrix to be transposed"));
    }
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    low.transpose(x, &order)
}
