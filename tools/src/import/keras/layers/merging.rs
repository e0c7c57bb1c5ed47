//! Layers that merge a list of tensors.

use flatpack_format::ops::batch_matmul::BatchMatmulParams;
use flatpack_format::ops::concatenate::ConcatenateParams;
use flatpack_format::{MAX_INPUTS, OpCode};

use super::Lower;
use super::normalization::l2_normalized;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::Lowering;
use crate::import::keras::network::{Call, Layer};
use crate::import::keras::version::Dialect;

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("Add", Lower::Call(|low, _, call| merged(low, OpCode::Add, call))),
    ("Average", Lower::Call(average)),
    ("Concatenate", Lower::Call(concatenate)),
    ("Dot", Lower::Call(dot)),
    ("Maximum", Lower::Call(|low, _, call| extreme(low, OpCode::Maximum, call))),
    ("Minimum", Lower::Call(|low, _, call| extreme(low, OpCode::Minimum, call))),
    ("Multiply", Lower::Call(multiply)),
    ("Subtract", Lower::Call(|low, _, call| merged(low, OpCode::Sub, call))),
];

/// `((a op b) op c) …`, element by element.
fn merged(low: &mut Lowering, op: OpCode, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let inputs = of_one_rank(low, low.inputs(call)?)?;
    let Some((first, rest)) = inputs.split_first() else { return Err(too_few(0, "one or more")) };
    if op == OpCode::Sub && rest.len() != 1 {
        return Err(too_few(inputs.len(), "two"));
    }
    let y = rest.iter().try_fold(*first, |y, &x| low.binary(op, y, x))?;
    Ok(vec![y])
}

/// A tensor, and the mask that comes with it.
type Masked = (TensorId, Option<TensorId>);

/// Tensors with their masks, where Keras 3 minds them; each mask has an axis of length 1 more. `None` where there is
/// none to mind.
fn masked_inputs(low: &mut Lowering, call: &Call) -> Result<Option<Vec<Masked>>, Fault> {
    let masks = low.masks_of(call);
    if low.dialect != Dialect::Keras3 || masks.iter().all(Option::is_none) {
        return Ok(None);
    }
    let tensors = low.inputs(call)?.into_iter().zip(masks);
    let lifted = tensors.map(|(x, mask)| Ok((x, mask.map(|mask| last_axis_added(low, mask)).transpose()?)));
    lifted.collect::<Result<_, _>>().map(Some)
}

/// The product. In Keras 3, a step that a mask leaves out counts as 1, and where all leave it out, it is 0.
fn multiply(low: &mut Lowering, _: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let Some(inputs) = masked_inputs(low, call)? else { return merged(low, OpCode::Mul, call) };
    let one = low.scalar(1.0);
    let mut product = None;
    for &(x, mask) in &inputs {
        let factor = selected(low, mask, x, one)?;
        product = Some(match product {
            None => factor,
            Some(product) => low.binary(OpCode::Mul, product, factor)?,
        });
    }
    let product = product.ok_or_else(|| too_few(0, "one or more"))?;
    let masks: Option<Vec<TensorId>> = inputs.into_iter().map(|(_, mask)| mask).collect();
    let zero = low.scalar(0.0);
    let mut masks = masks.unwrap_or_default().into_iter();
    let first = masks.next();
    let any = first
        .map(|first| masks.try_fold(first, |any, mask| low.binary(OpCode::Maximum, any, mask)))
        .transpose()?;
    Ok(vec![selected(low, any, product, zero)?])
}

/// The maximum or minimum. In Keras 3, a step that a mask leaves out is what the others have there.
fn extreme(low: &mut Lowering, op: OpCode, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let Some(inputs) = masked_inputs(low, call)? else { return merged(low, op, call) };
    let Some((&first, rest)) = inputs.split_first() else { return Err(too_few(0, "one or more")) };
    let (mut y, mut y_mask) = first;
    for &(x, mask) in rest {
        let x = selected(low, mask, x, y)?;
        y = selected(low, y_mask, y, x)?;
        y = low.binary(op, y, x)?;
        y_mask = match (y_mask, mask) {
            (Some(a), Some(b)) => Some(low.binary(OpCode::Maximum, a, b)?),
            _ => None,
        };
    }
    Ok(vec![y])
}

/// A mask with an axis of length 1 behind its own.
fn last_axis_added(low: &mut Lowering, mask: TensorId) -> Result<TensorId, Fault> {
    let dims: Vec<u32> = low.dims(mask).into_iter().chain([1]).collect();
    low.reshape(mask, &dims)
}

/// `x` where the mask is not 0, else `other`.
fn selected(
    low: &mut Lowering,
    mask: Option<TensorId>,
    x: TensorId,
    other: TensorId,
) -> Result<TensorId, Fault> {
    mask.map_or(Ok(x), |mask| low.node(OpCode::Select, (), &[mask, x, other]))
}

fn too_few(found: usize, expected: &str) -> Fault {
    Fault::Unexpected {
        place: "the call".into(),
        found: format!("{found} tensors"),
        expected: format!("{expected} in a list"),
    }
}

/// Tensors of different rank get axes of length 1 after the batch.
fn of_one_rank(low: &mut Lowering, tensors: Vec<TensorId>) -> Result<Vec<TensorId>, Fault> {
    let rank = tensors.iter().map(|&x| low.graph.dims(x).len()).max().unwrap_or(0);
    let lifted = |x: TensorId| {
        let mut dims = low.dims(x);
        let missing = rank - dims.len();
        let at = dims.len().min(1);
        dims.splice(at..at, std::iter::repeat_n(1, missing));
        low.reshape(x, &dims)
    };
    tensors.into_iter().map(lifted).collect()
}

fn average(low: &mut Lowering, _: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let sum = merged(low, OpCode::Add, call)?;
    let count = low.scalar(low.inputs(call)?.len() as f32);
    sum.into_iter().map(|sum| low.binary(OpCode::Div, sum, count)).collect()
}

fn concatenate(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let axis = if layer.config.get("axis").is_some() { layer.config.ints("axis")? } else { vec![-1] };
    let inputs = low.inputs(call)?;
    match axis.as_slice() {
        [axis] => Ok(vec![concatenated(low, &inputs, *axis)?]),
        _ => Err(Fault::Unexpected {
            place: "`axis`".into(),
            found: format!("{axis:?}"),
            expected: "one axis".into(),
        }),
    }
}

/// Tensors one after the other along an axis, in steps of as many as an operator takes.
pub(in super::super) fn concatenated(
    low: &mut Lowering,
    tensors: &[TensorId],
    axis: i64,
) -> Result<TensorId, Fault> {
    match tensors {
        [] => Err(too_few(0, "one or more")),
        [single] => Ok(*single),
        [first, ..] if tensors.len() <= MAX_INPUTS => {
            let axis = low.axis(*first, axis)? as u32;
            low.node(OpCode::Concatenate, ConcatenateParams { axis }, tensors)
        }
        _ => {
            let parts: Result<Vec<_>, _> =
                tensors.chunks(MAX_INPUTS).map(|part| concatenated(low, part, axis)).collect();
            concatenated(low, &parts?, axis)
        }
    }
}

/// The sum of the products along one axis of each tensor, sample by sample.
fn dot(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let inputs = low.inputs(call)?;
    let &[a, b] = inputs.as_slice() else { return Err(too_few(inputs.len(), "two")) };
    let (axis_a, axis_b) = match layer.config.ints("axes")?.as_slice() {
        [both] => (low.axis(a, *both)?, low.axis(b, *both)?),
        [axis_a, axis_b] => (low.axis(a, *axis_a)?, low.axis(b, *axis_b)?),
        other => {
            return Err(Fault::Unexpected {
                place: "`axes`".into(),
                found: format!("{other:?}"),
                expected: "an axis for each of two tensors".into(),
            });
        }
    };
    let normalize = layer.config.bool_or("normalize", false)?;
    let (a, rows) = as_matrices(low, a, axis_a, normalize)?;
    let (b, columns) = as_matrices(low, b, axis_b, normalize)?;
    let y = low.node(OpCode::BatchMatmul, BatchMatmulParams { transpose_b: 1 }, &[a, b])?;
    let mut dims = vec![low.graph.dims(y)[0]];
    dims.extend(rows);
    dims.extend(columns);
    if dims.len() == 1 {
        dims.push(1);
    }
    Ok(vec![low.reshape(y, &dims)?])
}

/// `x` as `[batch, others, axis]`, and the extents of the other axes.
fn as_matrices(
    low: &mut Lowering,
    x: TensorId,
    axis: usize,
    normalize: bool,
) -> Result<(TensorId, Vec<u32>), Fault> {
    let dims = low.dims(x);
    if axis == 0 {
        return Err(Fault::Unexpected {
            place: "`axes`".into(),
            found: "the batch".into(),
            expected: "an axis after it".into(),
        });
    }
    let x = if normalize {
        // The least norm is 10⁻⁷ in Keras 3, 10⁻⁶ before; the operator bounds its square.
        let epsilon = if low.dialect == Dialect::Keras3 { 1e-14 } else { 1e-12 };
        l2_normalized(low, x, &[axis], epsilon)?
    } else {
        x
    };
    let others: Vec<usize> = (1..dims.len()).filter(|&other| other != axis).collect();
    let order: Vec<usize> = [0].into_iter().chain(others.iter().copied()).chain([axis]).collect();
    let x = low.transpose(x, &order)?;
    let others: Vec<u32> = others.into_iter().map(|other| dims[other]).collect();
    let x = low.reshape(x, &[dims[0], others.iter().product(), dims[axis]])?;
    Ok((x, others))
}
