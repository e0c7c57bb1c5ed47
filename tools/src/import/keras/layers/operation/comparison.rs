//! Comparisons, logic and selection. What Python has as a boolean is 1 or 0.

use flatpack_format::OpCode;

use super::reduction::{axes_of, over, reduce};
use super::{int_or, two, wrong};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::Lowering;
use crate::import::keras::network::{Arg, Config};

/// 1 where `x` is not 0, as a conversion to a boolean has it; a comparison is that already.
pub(super) fn truth(low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
    let made = low.graph.producer(x).map(|at| low.graph.nodes[at].op);
    if matches!(made, Some(OpCode::Equal | OpCode::NotEqual | OpCode::Greater | OpCode::GreaterEqual)) {
        return Ok(x);
    }
    let zero = low.scalar(0.0);
    low.binary(OpCode::NotEqual, x, zero)
}

pub(super) fn not(low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
    let zero = low.scalar(0.0);
    low.binary(OpCode::Equal, x, zero)
}

fn truths(low: &mut Lowering, args: &[Arg]) -> Result<[TensorId; 2], Fault> {
    let [a, b] = two(low, args)?;
    Ok([truth(low, a)?, truth(low, b)?])
}

pub(super) fn and(low: &mut Lowering, _: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let [a, b] = truths(low, args)?;
    Ok(vec![low.binary(OpCode::Minimum, a, b)?])
}

pub(super) fn or(low: &mut Lowering, _: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let [a, b] = truths(low, args)?;
    Ok(vec![low.binary(OpCode::Maximum, a, b)?])
}

pub(super) fn exclusive_or(low: &mut Lowering, _: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let [a, b] = truths(low, args)?;
    Ok(vec![low.binary(OpCode::NotEqual, a, b)?])
}

pub(super) fn is_infinite(low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
    let (size, infinity) = (low.unary(OpCode::Abs, x)?, low.scalar(f32::INFINITY));
    low.binary(OpCode::Equal, size, infinity)
}

/// A NaN is not less than infinity either.
pub(super) fn is_finite(low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
    let (size, infinity) = (low.unary(OpCode::Abs, x)?, low.scalar(f32::INFINITY));
    low.binary(OpCode::Greater, infinity, size)
}

/// `x1` where the condition is not 0, else `x2`.
pub(super) fn select(low: &mut Lowering, _: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let [condition, a, b] = args else {
        return Err(Fault::Unsupported {
            what: "`where` without the two tensors to choose from".into(),
            remedy: "the number of its results depends on values: use `where(condition, x1, x2)`".into(),
        });
    };
    let operands = [low.operand(condition)?, low.operand(a)?, low.operand(b)?];
    Ok(vec![low.node(OpCode::Select, (), &operands)?])
}

/// Whether any or all elements along some axes are not 0.
pub(super) fn any_or_all(
    low: &mut Lowering,
    op: OpCode,
    settings: &Config,
    x: TensorId,
) -> Result<TensorId, Fault> {
    let x = truth(low, x)?;
    reduce(low, op, settings, x)
}

/// The first position along an axis that has the extreme value; by default in the flattened tensor.
///
/// Of the positions with that value, the one with the most positions behind it.
pub(super) fn arg(
    low: &mut Lowering,
    extreme: OpCode,
    settings: &Config,
    x: TensorId,
) -> Result<TensorId, Fault> {
    let dims = low.dims(x);
    let (x, axis, keep_dims) = match settings.get("axis") {
        Some(_) => (x, axes_of(low, settings, x)?, settings.bool_or("keepdims", false)?),
        None => (low.reshape(x, &[dims.iter().product()])?, vec![0], false),
    };
    let &[axis] = axis.as_slice() else {
        return Err(wrong("`axis`", format!("{axis:?}"), "one axis"));
    };
    let len = low.graph.dims(x)[axis];
    let best = over(low, extreme, x, &[axis], true)?;
    let is_best = low.binary(OpCode::Equal, x, best)?;
    let mut along = vec![1; low.graph.dims(x).len() - axis];
    along[0] = len;
    let left = low.constant("positions left", &along, (0..len).map(|at| (len - at) as f32).collect());
    let left = low.binary(OpCode::Mul, is_best, left)?;
    let most = over(low, OpCode::ReduceMax, left, &[axis], keep_dims)?;
    let len = low.scalar(len as f32);
    low.binary(OpCode::Sub, len, most)
}

/// 1 at the position that the element names, else 0, along a new axis; by default the last.
pub(super) fn one_hot(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let count = int_or(settings, "num_classes", int_or(settings, "depth", 0)?)?;
    let count = u32::try_from(count)
        .ok()
        .filter(|count| (1..1 << 24).contains(count))
        .ok_or_else(|| wrong("the number of classes", count.to_string(), "from 1 to 2²⁴ − 1"))?;
    let rank = low.graph.dims(x).len();
    let axis = int_or(settings, "axis", -1)?;
    let at = if axis < 0 { axis + rank as i64 + 1 } else { axis };
    let at = usize::try_from(at).ok().filter(|&at| at <= rank);
    let at = at.ok_or_else(|| wrong("`axis`", axis.to_string(), "an axis of the result"))?;
    let hot = hot(low, x, count, at)?;
    let (on, off) = (settings.f64_or("on_value", 1.0)?, settings.f64_or("off_value", 0.0)?);
    if (on, off) == (1.0, 0.0) {
        return Ok(hot);
    }
    let (on, off) = (low.scalar(on as f32), low.scalar(off as f32));
    low.node(OpCode::Select, (), &[hot, on, off])
}

/// 1 at the position of a new axis `at` of this length that the element names, else 0.
pub(in super::super) fn hot(
    low: &mut Lowering,
    x: TensorId,
    count: u32,
    at: usize,
) -> Result<TensorId, Fault> {
    let mut dims = low.dims(x);
    dims.insert(at, 1);
    let x = low.reshape(x, &dims)?;
    let mut along = vec![1; dims.len() - at];
    along[0] = count;
    let classes = low.constant("classes", &along, (0..count).map(|class| class as f32).collect());
    low.binary(OpCode::Equal, x, classes)
}
