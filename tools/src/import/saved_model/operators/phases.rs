//! Dilated convolutions as TensorFlow writes them: SpaceToBatchND makes a batch of phases, each of every d-th element;
//! a plain convolution is computed of each, and BatchToSpaceND puts the phases together again.
//!
//! Phases stay in the order of the tensor for as long as nothing but such a convolution reads them, which then is
//! computed of the whole with its taps d elements apart. What reads them otherwise gets them taken apart.

use serde_json::{Value as Json, json};

use super::super::lower::{Lowering, Value};
use super::{Args, one};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::Argument;

pub(super) const NAMES: &[&str] = &["BatchToSpaceND", "SpaceToBatchND"];

/// A batch of the phases of a tensor.
#[derive(Clone, Debug)]
pub(in super::super) struct Phases {
    /// The tensor as it is.
    whole: TensorId,
    /// For each axis, how far the elements of a phase are apart; 1 for the batch. Each divides its extent.
    steps: Vec<u32>,
}

impl Phases {
    /// The extents of the batch of phases.
    pub(in super::super) fn extents(&self, low: &Lowering<'_, '_>) -> Vec<usize> {
        let dims = low.builder.graph.dims(self.whole).iter().zip(&self.steps);
        let mut extents: Vec<usize> = dims.map(|(&dim, &step)| (dim / step) as usize).collect();
        extents[0] *= self.steps.iter().map(|&step| step as usize).product::<usize>();
        extents
    }

    /// The phases one behind the other.
    pub(in super::super) fn apart(&self, low: &mut Lowering<'_, '_>) -> Result<TensorId, Fault> {
        let dims = low.builder.dims(self.whole);
        let mut split = Vec::new();
        let (mut of_phases, mut within) = (Vec::new(), Vec::new());
        for (&dim, &step) in dims.iter().zip(&self.steps) {
            within.push(split.len());
            split.push(dim / step);
            if step > 1 {
                of_phases.push(split.len());
                split.push(step);
            }
        }
        let x = low.builder.reshape(self.whole, &split)?;
        let x = low.builder.transpose(x, &[of_phases, within].concat())?;
        let extents: Vec<u32> = self.extents(low).into_iter().map(|extent| extent as u32).collect();
        low.builder.reshape(x, &extents)
    }

    /// The same phases with other axes of one element; `None` where the shape differs by more.
    pub(super) fn reshaped(
        &self,
        low: &mut Lowering<'_, '_>,
        shape: &[usize],
    ) -> Result<Option<Value>, Fault> {
        let extents = self.extents(low);
        let mut longer = extents
            .iter()
            .zip(&self.steps)
            .skip(1)
            .filter(|(extent, _)| **extent != 1)
            .map(|(_, step)| *step);
        let is_longer = |extent: &&usize| **extent != 1;
        let same = shape.first() == extents.first()
            && shape.iter().skip(1).filter(is_longer).eq(extents.iter().skip(1).filter(is_longer));
        // A phase of one element is not told from an axis of one.
        if !same || extents.iter().zip(&self.steps).any(|(&extent, &step)| extent == 1 && step > 1) {
            return Ok(None);
        }
        let ones = |&extent: &usize| if extent == 1 { Some(1) } else { longer.next() };
        let steps: Vec<u32> = std::iter::once(1).chain(shape.iter().skip(1).filter_map(ones)).collect();
        let mut dims: Vec<u32> =
            shape.iter().zip(&steps).map(|(&extent, &step)| extent as u32 * step).collect();
        dims[0] = low.builder.graph.dims(self.whole)[0];
        let whole = low.builder.reshape(self.whole, &dims)?;
        Ok(Some(Value::Phases(Self { whole, steps })))
    }
}

pub(super) fn evaluate(low: &mut Lowering<'_, '_>, args: &Args<'_>) -> Result<Value, Fault> {
    let positive = |block: i64| u32::try_from(block).ok().filter(|&block| block > 0);
    let blocks: Option<Vec<u32>> = args.integers(1)?.into_iter().map(positive).collect();
    let edges = args.integers(2)?;
    let edges: Vec<&[i64]> = edges.chunks_exact(2).collect();
    let rank = low.extents(args.get(0)?)?.len();
    let steps = blocks.filter(|blocks| {
        let is_bounded = blocks.iter().try_fold(1u32, |product, &block| product.checked_mul(block)).is_some();
        blocks.len() < rank
            && edges.len() == blocks.len()
            && is_bounded
            && edges.iter().all(|edge| edge.iter().all(|&zeros| zeros >= 0))
    });
    let mut steps = steps.ok_or_else(|| args.damage("blocks that do not fit its tensor"))?;
    steps.insert(0, 1);
    steps.resize(rank, 1);
    if args.node.op == "SpaceToBatchND" {
        let whole = padded(low, args, &edges)?;
        if low.builder.graph.dims(whole).iter().zip(&steps).any(|(dim, step)| !dim.is_multiple_of(*step)) {
            return Err(args.damage("an extent that its blocks do not divide"));
        }
        return Ok(Value::Phases(Phases { whole, steps }));
    }
    let whole = match args.get(0)? {
        Value::Phases(phases) if phases.steps == steps => phases.whole,
        _ => together(low, args, &steps)?,
    };
    cropped(low, args, whole, &edges).map(Value::Tensor)
}

/// Zeros around the axes behind the batch.
fn padded(low: &mut Lowering<'_, '_>, args: &Args<'_>, edges: &[&[i64]]) -> Result<TensorId, Fault> {
    let x = args.tensor(low, 0)?;
    let mut widths = vec![[0; 2]; low.builder.graph.dims(x).len()];
    for (width, edge) in widths.iter_mut().skip(1).zip(edges) {
        width.copy_from_slice(edge);
    }
    let operands = vec![Argument::Tensor(x)];
    one(low.builder.foreign_operation("Pad", operands, json!({"pad_width": widths}))?, args)
}

/// What the axes behind the batch have between these edges.
fn cropped(
    low: &mut Lowering<'_, '_>,
    args: &Args<'_>,
    x: TensorId,
    edges: &[&[i64]],
) -> Result<TensorId, Fault> {
    let dims = low.builder.dims(x);
    let mut ranges = vec![[None; 3]];
    for (edge, &dim) in edges.iter().zip(&dims[1..]) {
        let end = i64::from(dim).saturating_sub(edge[1]);
        if edge[0] >= end {
            return Err(args.damage("crops that leave nothing"));
        }
        ranges.push([Some(edge[0]), Some(end), None]);
    }
    let operands = vec![Argument::Tensor(x), Argument::Ranges(ranges)];
    one(low.builder.foreign_operation("GetItem", operands, json!({}))?, args)
}

/// The whole of which the first input has the phases one behind the other.
fn together(low: &mut Lowering<'_, '_>, args: &Args<'_>, steps: &[u32]) -> Result<TensorId, Fault> {
    let x = args.tensor(low, 0)?;
    let dims = low.builder.dims(x);
    let count: u32 = steps.iter().product();
    if !dims[0].is_multiple_of(count) {
        return Err(args.damage("a batch that its blocks do not divide"));
    }
    let apart: Vec<usize> = (0..steps.len()).filter(|&axis| steps[axis] > 1).collect();
    let mut split: Vec<u32> = apart.iter().map(|&axis| steps[axis]).collect();
    split.push(dims[0] / count);
    split.extend(&dims[1..]);
    let x = low.builder.reshape(x, &split)?;
    // Each axis, and behind it that of its phases.
    let order = (0..steps.len()).flat_map(|axis| {
        let of_phases = apart.iter().position(|&other| other == axis);
        std::iter::once(apart.len() + axis).chain(of_phases)
    });
    let x = low.builder.transpose(x, &order.collect::<Vec<_>>())?;
    let whole: Vec<u32> = dims.iter().zip(steps).map(|(dim, step)| dim.saturating_mul(*step)).collect();
    let whole = [&[dims[0] / count], &whole[1..]].concat();
    low.builder.reshape(x, &whole)
}

/// The input of a convolution with these arguments: where it is of phases, the whole and how far its taps are apart,
/// which the arguments say then.
pub(super) fn convolved(
    low: &mut Lowering<'_, '_>,
    args: &Args<'_>,
    config: &mut Json,
) -> Result<(TensorId, Option<Vec<u32>>), Fault> {
    let Value::Phases(Phases { whole, steps }) = args.get(0)? else {
        return Ok((args.tensor(low, 0)?, None));
    };
    let is_plain = config["strides"] == json!([1, 1])
        && config["dilation_rate"] == json!([1, 1])
        && config["padding"] == "valid";
    match steps[..] {
        [1, rows, columns, 1] if is_plain => {
            config["dilation_rate"] = json!([rows, columns]);
            Ok((*whole, Some(steps.clone())))
        }
        _ => Ok((args.tensor(low, 0)?, None)),
    }
}

/// What a convolution makes of such an input.
pub(super) fn of_convolution(y: TensorId, steps: Option<Vec<u32>>) -> Value {
    match steps {
        Some(steps) => Value::Phases(Phases { whole: y, steps }),
        None => Value::Tensor(y),
    }
}
