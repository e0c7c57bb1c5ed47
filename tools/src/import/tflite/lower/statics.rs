//! Arithmetic on shapes and positions, carried out while the graph is made.
//!
//! Every shape is known, so what a model computes from shapes is known too. The values are few.

use std::rc::Rc;

use super::nodes::axis_of;
use super::slices::{self, Taken};
use super::{Lowering, Value, misfit};
use crate::import::Fault;
use crate::import::tflite::model::Operator;
use crate::import::tflite::options::{Gather, Pack, StridedSlice, Unpack};

/// Integers that are known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Integers {
    /// Extents.
    pub(crate) dims: Vec<u32>,
    /// The elements, as many as the product of extents.
    pub(crate) values: Vec<i64>,
}

impl Integers {
    fn list(values: Vec<i64>) -> Self {
        Self { dims: vec![values.len() as u32], values }
    }

    fn scalar(value: i64) -> Self {
        Self { dims: Vec::new(), values: vec![value] }
    }

    /// The elements as extents.
    ///
    /// # Errors
    /// If one is negative or has more than 32 bits.
    pub(crate) fn extents(&self) -> Result<Vec<u32>, Fault> {
        let extents: Option<Vec<u32>> = self.values.iter().map(|&v| u32::try_from(v).ok()).collect();
        extents.ok_or_else(|| misfit("a shape", format!("{:?}", self.values), "extents"))
    }

    /// The elements as one list; those of more axes are no shape arithmetic.
    fn flat(&self) -> Result<&[i64], Fault> {
        if self.dims.len() < 2 { Ok(&self.values) } else { Err(self.too_many_axes()) }
    }

    fn too_many_axes(&self) -> Fault {
        Fault::Unsupported {
            what: format!("arithmetic on integers of shape {:?}", self.dims),
            remedy: "build the model so that it computes with reals, and convert it again".into(),
        }
    }
}

/// Operators whose outputs always hold integers.
pub(crate) const NAMES: &[&str] = &["RANGE", "RANK", "SHAPE"];

/// What an operator computes whose output holds integers.
pub(super) fn evaluate(
    low: &mut Lowering<'_, '_>,
    name: &str,
    operator: &Operator<'_>,
) -> Result<Vec<Value>, Fault> {
    let made = match name {
        "SHAPE" => vec![Integers::list(shape(low, operator)?)],
        "RANK" => vec![Integers::scalar(shape(low, operator)?.len() as i64)],
        "CAST" => vec![(*low.integers(operator, 0)?).clone()],
        "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => vec![reshaped(low, operator)?],
        "PACK" => vec![pack(low, operator)?],
        "UNPACK" => unpack(low, operator)?,
        "CONCATENATION" => vec![concatenation(low, operator)?],
        "SLICE" | "STRIDED_SLICE" => vec![slice(low, name, operator)?],
        "GATHER" => vec![gather(low, operator)?],
        "FILL" => vec![fill(low, operator)?],
        "RANGE" => vec![range(low, operator)?],
        "NEG" => vec![negative(low, operator)?],
        "ADD" | "SUB" | "MUL" | "DIV" | "FLOOR_DIV" | "MAXIMUM" | "MINIMUM" => {
            vec![arithmetic(low, name, operator)?]
        }
        "REDUCE_PROD" | "SUM" | "REDUCE_MAX" | "REDUCE_MIN" => vec![reduce(low, name, operator)?],
        _ => return Err(low.refused(operator)),
    };
    low.count_values(made.iter().map(|integers| integers.values.len()).sum())?;
    Ok(made.into_iter().map(|integers| Value::Integers(Rc::new(integers))).collect())
}

fn shape(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<i64>, Fault> {
    let known = operator.inputs.first().copied().flatten().and_then(|input| low.values[input].clone());
    let dims = match known {
        Some(Value::Integers(integers)) => integers.dims.clone(),
        _ => {
            let x = low.x(operator, 0)?;
            low.dims(x)
        }
    };
    Ok(dims.into_iter().map(i64::from).collect())
}

/// The same elements with the shape that the file gives the output.
fn reshaped(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Integers, Fault> {
    let integers = low.integers(operator, 0)?;
    let output = operator.outputs.first().map(|&output| low.described(output));
    let dims = output.map(|output| low.shape_of(output)).transpose()?;
    match dims {
        Some(shape) if shape.len() == u32::try_from(integers.values.len()).ok() => {
            Ok(Integers { dims: shape.dims().to_vec(), values: integers.values.clone() })
        }
        _ => Err(misfit("the output's shape", format!("{dims:?}"), format!("{:?}", integers.dims))),
    }
}

fn pack(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Integers, Fault> {
    let axis = operator.options::<Pack>()?.axis;
    let mut values = Vec::new();
    for number in 0..operator.inputs.len() {
        let part = low.integers(operator, number)?;
        if !part.dims.is_empty() || !matches!(axis, 0 | -1) {
            return Err(part.too_many_axes());
        }
        values.extend(&part.values);
    }
    Ok(Integers::list(values))
}

fn unpack(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Integers>, Fault> {
    let integers = low.integers(operator, 0)?;
    axis_of(integers.dims.len(), operator.options::<Unpack>()?.axis.into())?;
    Ok(integers.flat()?.iter().map(|&value| Integers::scalar(value)).collect())
}

fn concatenation(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Integers, Fault> {
    let mut values = Vec::new();
    for number in 0..operator.inputs.len() {
        let part = low.integers(operator, number)?;
        low.count_values(part.values.len())?;
        values.extend(part.flat()?);
    }
    Ok(Integers::list(values))
}

fn slice(low: &mut Lowering<'_, '_>, name: &str, operator: &Operator<'_>) -> Result<Integers, Fault> {
    let x = low.integers(operator, 0)?;
    let (taken, dims) = if name == "SLICE" {
        slice_of(low, operator, &x.dims)?
    } else {
        strided_slice_of(low, operator, &x.dims)?
    };
    let (values, one) = (x.flat()?, taken.first());
    let values = match one {
        Some(taken) => (0..i64::from(taken.size))
            .filter_map(|k| usize::try_from(i64::from(taken.begin) + k * i64::from(taken.stride)).ok())
            .filter_map(|at| values.get(at).copied())
            .collect(),
        None => values.to_vec(),
    };
    Ok(Integers { dims, values })
}

/// What `SLICE` takes of its first input, and the extents of the result.
pub(crate) fn slice_of(
    low: &mut Lowering<'_, '_>,
    operator: &Operator<'_>,
    dims: &[u32],
) -> Result<(Vec<Taken>, Vec<u32>), Fault> {
    let (begin, size) = (low.integers(operator, 1)?, low.integers(operator, 2)?);
    let end: Vec<i64> = begin.values.iter().zip(&size.values).map(|(b, s)| b.saturating_add(*s)).collect();
    let to_the_end = size.values.iter().take(32).enumerate();
    let end_mask = to_the_end.fold(0, |mask, (axis, &size)| if size == -1 { mask | 1 << axis } else { mask });
    let stride = vec![1; begin.values.len()];
    let options = StridedSlice { end_mask, ..StridedSlice::default() };
    let found = slices::strided(dims, &begin.values, &end, &stride, &options)?;
    let exact = found.1.iter().zip(&size.values).all(|(&dim, &size)| size == -1 || i64::from(dim) == size);
    if exact && begin.values.iter().all(|&begin| begin >= 0) {
        return Ok(found);
    }
    Err(misfit(
        "the slice",
        format!("{:?} from {:?} on", size.values, begin.values),
        format!("part of {dims:?}"),
    ))
}

/// What `STRIDED_SLICE` takes of its first input, and the extents of the result.
pub(crate) fn strided_slice_of(
    low: &mut Lowering<'_, '_>,
    operator: &Operator<'_>,
    dims: &[u32],
) -> Result<(Vec<Taken>, Vec<u32>), Fault> {
    let (begin, end) = (low.integers(operator, 1)?, low.integers(operator, 2)?);
    let stride = low.integers(operator, 3)?;
    slices::strided(dims, &begin.values, &end.values, &stride.values, &operator.options::<StridedSlice>()?)
}

fn gather(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Integers, Fault> {
    let (x, indices) = (low.integers(operator, 0)?, low.integers(operator, 1)?);
    let options = operator.options::<Gather>()?;
    axis_of(x.dims.len(), options.axis.into())?;
    let x = x.flat()?;
    let at = |index: &i64| usize::try_from(*index).ok().and_then(|index| x.get(index).copied());
    let values: Option<Vec<i64>> = indices.values.iter().map(at).collect();
    let values = values.ok_or_else(|| misfit("the indices", format!("{:?}", indices.values), "indices"))?;
    Ok(Integers { dims: indices.dims.clone(), values })
}

fn fill(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Integers, Fault> {
    let (dims, value) = (low.integers(operator, 0)?.extents()?, low.integer(operator, 1)?);
    let count = dims.iter().try_fold(1u32, |count, &dim| count.checked_mul(dim)).unwrap_or(u32::MAX);
    low.count_values(count as usize)?;
    Ok(Integers { dims, values: vec![value; count as usize] })
}

fn range(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Integers, Fault> {
    let (start, limit) = (low.integer(operator, 0)?, low.integer(operator, 1)?);
    let step = low.integer(operator, 2)?;
    let wrong = || misfit("the range", format!("{start} to {limit} by {step}"), "a range");
    let length = limit.checked_sub(start).ok_or_else(wrong)?;
    if step == 0 || (length > 0) != (step > 0) {
        return Err(wrong());
    }
    let count = usize::try_from(length.unsigned_abs().div_ceil(step.unsigned_abs())).map_err(|_| wrong())?;
    low.count_values(count)?;
    Ok(Integers::list((0..count as i64).map(|k| start + k * step).collect()))
}

fn negative(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Integers, Fault> {
    let mut x = (*low.integers(operator, 0)?).clone();
    x.values.iter_mut().for_each(|value| *value = value.saturating_neg());
    Ok(x)
}

fn arithmetic(low: &mut Lowering<'_, '_>, name: &str, operator: &Operator<'_>) -> Result<Integers, Fault> {
    let (a, b) = (low.integers(operator, 0)?, low.integers(operator, 1)?);
    let count = a.values.len().max(b.values.len());
    let fits = |x: &Integers| x.values.len() == count || x.values.len() == 1;
    if !fits(&a) || !fits(&b) {
        return Err(misfit("the operands", format!("{:?} and {:?}", a.dims, b.dims), "equal shapes"));
    }
    let of = |a: i64, b: i64| match name {
        "ADD" => a.checked_add(b),
        "SUB" => a.checked_sub(b),
        "MUL" => a.checked_mul(b),
        "DIV" => a.checked_div(b),
        "FLOOR_DIV" => {
            let quotient = a.checked_div(b)?;
            quotient.checked_sub(i64::from(a % b != 0 && (a < 0) != (b < 0)))
        }
        "MAXIMUM" => Some(a.max(b)),
        _ => Some(a.min(b)),
    };
    let at = |x: &Integers, k: usize| x.values.get(k).or(x.values.first()).copied();
    let values: Option<Vec<i64>> = (0..count).map(|k| of(at(&a, k)?, at(&b, k)?)).collect();
    let values =
        values.ok_or_else(|| misfit("the operands", format!("{a:?} and {b:?}"), "such as have a result"))?;
    let dims = if a.dims.len() >= b.dims.len() && a.values.len() == count { &a.dims } else { &b.dims };
    Ok(Integers { dims: dims.clone(), values })
}

fn reduce(low: &mut Lowering<'_, '_>, name: &str, operator: &Operator<'_>) -> Result<Integers, Fault> {
    let x = low.integers(operator, 0)?;
    for &axis in &low.integers(operator, 1)?.values {
        axis_of(x.dims.len(), axis)?;
    }
    let mut values = x.flat()?.iter().copied();
    let result = match name {
        "REDUCE_PROD" => values.try_fold(1i64, i64::checked_mul),
        "SUM" => values.try_fold(0i64, i64::checked_add),
        "REDUCE_MAX" => values.max(),
        _ => values.min(),
    };
    result
        .map(Integers::scalar)
        .ok_or_else(|| misfit("the operand", format!("{x:?}"), "such as has a result"))
}
