//! Adding operators and constants for the layer in progress.

use std::sync::Arc;

use bytemuck::Pod;
use flatpack_format::OpCode;
use flatpack_format::ops::{Clamp, binary::BinaryParams, reshape::ReshapeParams, transpose::TransposeParams};
use serde_json::Value;

use super::Lowering;
use crate::array::Array;
use crate::graph::{TensorId, shape};
use crate::import::Fault;
use crate::import::keras::json::short;
use crate::import::keras::network::{Layer, Weight};

/// The most operators: splitting one long axis asks for as many as it has elements.
const MAX_OPERATORS: usize = 1 << 16;

impl Lowering {
    /// The extents of a tensor, batch first.
    pub(crate) fn dims(&self, id: TensorId) -> Vec<u32> {
        self.graph.dims(id).to_vec()
    }

    /// Adds an operator for the layer in progress.
    pub(crate) fn node<P: Pod>(
        &mut self,
        op: OpCode,
        params: P,
        inputs: &[TensorId],
    ) -> Result<TensorId, Fault> {
        refuse_operators_beyond_limit(self.graph.nodes.len() + 1)?;
        self.graph.add_node(&self.layer_path(), op, params, inputs).map_err(|error| Fault::Unexpected {
            place: format!("operator {}", error.op.name()),
            found: format!("operands of shapes {:?}", error.inputs),
            expected: format!("such as fit ({})", error.misfit),
        })
    }

    /// Adds an operator of one element, without parameters.
    pub(crate) fn unary(&mut self, op: OpCode, x: TensorId) -> Result<TensorId, Fault> {
        self.node(op, (), &[x])
    }

    /// Adds an operator of two elements, with broadcasting.
    pub(crate) fn binary(&mut self, op: OpCode, a: TensorId, b: TensorId) -> Result<TensorId, Fault> {
        self.node(op, BinaryParams { clamp: Clamp::NONE }, &[a, b])
    }

    /// Adds a reshape, unless the shape is that already.
    pub(crate) fn reshape(&mut self, x: TensorId, dims: &[u32]) -> Result<TensorId, Fault> {
        if self.graph.dims(x) == dims {
            return Ok(x);
        }
        let extents: Vec<usize> = dims.iter().map(|&d| d as usize).collect();
        let shape = shape(&extents).ok_or_else(|| too_large(&extents))?;
        self.node(OpCode::Reshape, ReshapeParams::new(&shape), &[x])
    }

    /// Adds a transposition, unless it moves nothing: axis `i` of the result is axis `axes[i]` of `x`. One that
    /// moves axes of length 1 alone is a reshape.
    pub(crate) fn transpose(&mut self, x: TensorId, axes: &[usize]) -> Result<TensorId, Fault> {
        if axes.iter().enumerate().all(|(to, &from)| to == from) {
            return Ok(x);
        }
        let dims = self.dims(x);
        if axes.iter().filter(|&&axis| dims[axis] != 1).is_sorted() {
            let moved: Vec<u32> = axes.iter().map(|&axis| dims[axis]).collect();
            return self.reshape(x, &moved);
        }
        let mut perm: [u32; flatpack_format::MAX_RANK] = std::array::from_fn(|axis| axis as u32);
        for (to, from) in perm.iter_mut().zip(axes) {
            *to = *from as u32;
        }
        self.node(OpCode::Transpose, TransposeParams { perm }, &[x])
    }

    /// Moves these axes to the end, in rising order, applies `f` to the result and to their number, and
    /// moves them back.
    pub(crate) fn over_last_axes(
        &mut self,
        x: TensorId,
        axes: &[i64],
        f: impl FnOnce(&mut Self, TensorId, usize) -> Result<TensorId, Fault>,
    ) -> Result<TensorId, Fault> {
        let axes = self.axes(x, axes)?;
        let order: Vec<usize> =
            (0..self.graph.dims(x).len()).filter(|axis| !axes.contains(axis)).chain(axes.clone()).collect();
        let mut back = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, &from)| back[from] = to);
        let x = self.transpose(x, &order)?;
        let y = f(self, x, axes.len())?;
        self.transpose(y, &back)
    }

    /// Different axes of `x` as Python counts them, in rising order.
    pub(crate) fn axes(&self, x: TensorId, axes: &[i64]) -> Result<Vec<usize>, Fault> {
        let mut counted = axes.iter().map(|&axis| self.axis(x, axis)).collect::<Result<Vec<_>, _>>()?;
        counted.sort_unstable();
        counted.dedup();
        if counted.is_empty() || counted.len() != axes.len() {
            return Err(Fault::Unexpected {
                place: "`axis`".into(),
                found: format!("{axes:?}"),
                expected: "different axes".into(),
            });
        }
        Ok(counted)
    }

    /// An axis of `x` as Python counts it: from the end if negative.
    pub(crate) fn axis(&self, x: TensorId, axis: i64) -> Result<usize, Fault> {
        let rank = self.graph.dims(x).len() as i64;
        let counted = if axis < 0 { axis + rank } else { axis };
        if (0..rank).contains(&counted) {
            return Ok(counted as usize);
        }
        Err(Fault::Unexpected {
            place: "`axis`".into(),
            found: axis.to_string(),
            expected: format!("an axis of a tensor of shape {:?}", self.graph.dims(x)),
        })
    }

    /// A new constant. The number of values must be the product of `dims`.
    pub(crate) fn constant(&mut self, name: &str, dims: &[u32], values: Vec<f32>) -> TensorId {
        self.graph.add_constant(name, dims, values)
    }

    /// A constant without dimensions.
    pub(crate) fn scalar(&mut self, value: f32) -> TensorId {
        let key = (Vec::new(), format!("{:x}", value.to_bits()));
        if let Some(&made) = self.constants.get(&key) {
            return made;
        }
        let made = self.constant("constant", &[], vec![value]);
        self.constants.insert(key, made);
        made
    }

    /// A weight as it is.
    pub(crate) fn weight(&mut self, weight: &Weight) -> Result<TensorId, Fault> {
        let dims = dims_of(&weight.array.shape)?;
        let axes: Vec<usize> = (0..dims.len()).collect();
        self.weight_as(weight, &axes, &dims)
    }

    /// A weight with all its axes as one.
    pub(crate) fn flat(&mut self, weight: &Weight) -> Result<TensorId, Fault> {
        let axes: Vec<usize> = (0..weight.array.shape.len()).collect();
        let dims = dims_of(&[weight.array.len()])?;
        self.weight_as(weight, &axes, &dims)
    }

    /// A weight with its axes in the order `axes`, then reshaped to `dims`. One constant for all calls
    /// that ask for the same.
    pub(crate) fn weight_as(
        &mut self,
        weight: &Weight,
        axes: &[usize],
        dims: &[u32],
    ) -> Result<TensorId, Fault> {
        let name = weight.name.clone();
        self.derived(&[weight], &format!("{axes:?} {dims:?}"), &name, dims, |arrays| {
            if axes.is_sorted() { arrays[0].values.clone() } else { arrays[0].transposed(axes).values }
        })
    }

    /// A constant computed from weights. `form` names the computation: one constant for all calls
    /// with the same weights and form.
    pub(crate) fn derived(
        &mut self,
        weights: &[&Weight],
        form: &str,
        name: &str,
        dims: &[u32],
        values: impl FnOnce(&[&Array]) -> Vec<f32>,
    ) -> Result<TensorId, Fault> {
        let key = (weights.iter().map(|weight| Arc::as_ptr(&weight.array)).collect(), form.to_owned());
        if let Some(&made) = self.constants.get(&key) {
            return Ok(made);
        }
        let arrays: Vec<&Array> = weights.iter().map(|weight| &*weight.array).collect();
        let values = values(&arrays);
        let made = self.constant(name, dims, values);
        self.constants.insert(key, made);
        Ok(made)
    }
}

/// Refuses to make so many operators, if they are too many.
pub(crate) fn refuse_operators_beyond_limit(count: usize) -> Result<(), Fault> {
    if count <= MAX_OPERATORS {
        return Ok(());
    }
    Err(Fault::Limit { what: "the number of operators", found: count as u64, limit: MAX_OPERATORS as u64 })
}

/// A number, or nested lists of numbers, as an array.
pub(crate) fn constant_array(value: &Value) -> Result<Array, Fault> {
    let wrong = || Fault::Unexpected {
        place: "a constant".into(),
        found: short(value),
        expected: "a number, or lists of numbers of one shape".into(),
    };
    match value {
        Value::Number(number) => Ok(Array::new([], vec![number.as_f64().ok_or_else(wrong)? as f32])),
        Value::Bool(bool) => Ok(Array::new([], vec![f32::from(u8::from(*bool))])),
        Value::Array(values) if !values.is_empty() => {
            let parts = values.iter().map(constant_array).collect::<Result<Vec<_>, _>>()?;
            if parts.iter().any(|part| part.shape != parts[0].shape) {
                return Err(wrong());
            }
            let shape: Vec<usize> = std::iter::once(parts.len()).chain(parts[0].shape.clone()).collect();
            Ok(Array::new(shape, parts.into_iter().flat_map(|part| part.values).collect()))
        }
        _ => Err(wrong()),
    }
}

/// Extents as the graph has them.
pub(crate) fn dims_of(extents: &[usize]) -> Result<Vec<u32>, Fault> {
    let shape = shape(extents).filter(|shape| shape.len().is_some());
    shape.map(|shape| shape.dims().to_vec()).ok_or_else(|| too_large(extents))
}

/// A size from a layer's arguments.
pub(crate) fn size_of_layer(layer: &Layer, key: &str) -> Result<u32, Fault> {
    let size = layer.config.usize(key)?;
    u32::try_from(size).map_err(|_| too_large(&[size]))
}

/// `N` sizes from a layer's arguments; one number stands for `N` equal ones.
pub(crate) fn sizes_of_layer<const N: usize>(
    layer: &Layer,
    key: &str,
    default: [u32; N],
) -> Result<[u32; N], Fault> {
    let sizes = layer.config.extents(key, default.map(|size| size as usize))?;
    match dims_of(&sizes)?.try_into() {
        Ok(sizes) => Ok(sizes),
        Err(_) => Err(too_large(&sizes)),
    }
}

pub(super) fn too_large(extents: &[usize]) -> Fault {
    Fault::Unsupported {
        what: format!("a tensor of shape {extents:?}"),
        remedy: format!("tensors have at most {} axes and 2³⁰ elements", flatpack_format::MAX_RANK),
    }
}
