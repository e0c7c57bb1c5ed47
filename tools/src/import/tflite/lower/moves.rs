//! Operators that move elements, as building blocks of others.

use flatpack_format::ops::broadcast_to::BroadcastToParams;
use flatpack_format::ops::concatenate::ConcatenateParams;
use flatpack_format::ops::pad::PadParams;
use flatpack_format::ops::reshape::ReshapeParams;
use flatpack_format::ops::strided_slice::StridedSliceParams;
use flatpack_format::ops::transpose::TransposeParams;
use flatpack_format::{MAX_INPUTS, MAX_RANK, OpCode, Shape};

use super::slices::Taken;
use super::{Lowering, misfit};
use crate::graph::TensorId;
use crate::import::Fault;

impl Lowering<'_, '_> {
    /// Another shape, unless it is that already.
    pub(crate) fn reshape(&mut self, x: TensorId, dims: &[u32]) -> Result<TensorId, Fault> {
        if self.graph.dims(x) == dims {
            return Ok(x);
        }
        let shape = shape(dims)?;
        self.moving(OpCode::Reshape, ReshapeParams::new(&shape), &[x])
    }

    /// Other order of axes, unless it is that already: axis `i` of the result is axis `axes[i]` of `x`.
    pub(crate) fn transpose(&mut self, x: TensorId, axes: &[usize]) -> Result<TensorId, Fault> {
        if axes.len() == self.graph.dims(x).len() && axes.iter().enumerate().all(|(to, &from)| to == from) {
            return Ok(x);
        }
        let mut perm: [u32; MAX_RANK] = std::array::from_fn(|axis| axis as u32);
        for (to, from) in perm.iter_mut().zip(axes) {
            *to = *from as u32;
        }
        self.moving(OpCode::Transpose, TransposeParams { perm }, &[x])
    }

    /// Repetition along axes of length 1, unless there is none.
    pub(crate) fn broadcast(&mut self, x: TensorId, dims: &[u32]) -> Result<TensorId, Fault> {
        if self.graph.dims(x) == dims {
            return Ok(x);
        }
        self.moving(OpCode::BroadcastTo, BroadcastToParams::new(&shape(dims)?), &[x])
    }

    /// Part of `x`: what is taken of each axis.
    pub(crate) fn slice(&mut self, x: TensorId, taken: &[Taken]) -> Result<TensorId, Fault> {
        let dims = self.graph.dims(x);
        if taken.len() == dims.len() && taken.iter().zip(dims).all(|(taken, &dim)| taken.is_all_of(dim)) {
            return Ok(x);
        }
        let mut params =
            StridedSliceParams { begin: [0; MAX_RANK], stride: [1; MAX_RANK], size: [1; MAX_RANK] };
        let places = params.begin.iter_mut().zip(&mut params.stride).zip(&mut params.size);
        for (((begin, stride), size), taken) in places.zip(taken) {
            (*begin, *stride, *size) = (taken.begin, taken.stride, taken.size);
        }
        self.moving(OpCode::StridedSlice, params, &[x])
    }

    /// `size` elements of one axis of `x`, from `begin` on.
    pub(crate) fn part(
        &mut self,
        x: TensorId,
        axis: usize,
        begin: u32,
        size: u32,
    ) -> Result<TensorId, Fault> {
        let mut taken: Vec<Taken> = self.graph.dims(x).iter().map(|&dim| Taken::all(dim)).collect();
        if let Some(taken) = taken.get_mut(axis) {
            *taken = Taken { begin, stride: 1, size };
        }
        self.slice(x, &taken)
    }

    /// Tensors one after the other along an axis, in steps of as many as an operator takes.
    pub(crate) fn concatenated(&mut self, tensors: &[TensorId], axis: usize) -> Result<TensorId, Fault> {
        match tensors {
            [] => Err(misfit("the operator", "no inputs", "one or more")),
            [single] => Ok(*single),
            _ if tensors.len() <= MAX_INPUTS => {
                self.moving(OpCode::Concatenate, ConcatenateParams { axis: axis as u32 }, tensors)
            }
            _ => {
                let parts: Result<Vec<_>, _> =
                    tensors.chunks(MAX_INPUTS).map(|part| self.concatenated(part, axis)).collect();
                self.concatenated(&parts?, axis)
            }
        }
    }

    /// `x` with more elements of a value on each axis: as many as the pairs say.
    pub(crate) fn padded(&mut self, x: TensorId, pads: &[[u32; 2]], value: f32) -> Result<TensorId, Fault> {
        if pads.iter().all(|pair| *pair == [0, 0]) {
            return Ok(x);
        }
        let mut params = PadParams { before: [0; MAX_RANK], after: [0; MAX_RANK], value };
        for ((before, after), pair) in params.before.iter_mut().zip(&mut params.after).zip(pads) {
            (*before, *after) = (pair[0], pair[1]);
        }
        self.moving(OpCode::Pad, params, &[x])
    }
}

/// Extents as a shape.
fn shape(dims: &[u32]) -> Result<Shape, Fault> {
    let shape = Shape::new(dims).filter(|shape| shape.len().is_some());
    shape.ok_or_else(|| Fault::Unsupported {
        what: format!("a tensor of shape {dims:?}"),
        remedy: format!("tensors have at most {MAX_RANK} axes and 2³⁰ elements"),
    })
}
