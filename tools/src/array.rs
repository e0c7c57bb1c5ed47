//! Tensors on the host: a shape and `f32` values.

use flatpack_format::DType;
use std::fmt;

/// A tensor in memory, row-major (the last axis varies fastest).
///
/// `values.len()` is the product of `shape`; a scalar has an empty shape and one value.
#[derive(Clone, PartialEq)]
pub struct Array {
    /// Extent of each axis, in elements.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub values: Vec<f32>,
    /// The type in which they were stored, where that is of 8 bits; else `f32`.
    pub dtype: DType,
}

impl Array {
    /// A tensor of `shape` over `values`, which are reals.
    ///
    /// # Panics
    /// When `values.len()` is not the product of `shape`.
    pub fn new(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "shape {shape:?} does not hold {} values",
            values.len()
        );
        Self { shape, values, dtype: DType::F32 }
    }

    /// The same tensor, whose values were stored in this type.
    pub fn stored_as(self, dtype: DType) -> Self {
        Self { dtype, ..self }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The same elements with the axes in another order: axis `i` of the result is axis `axes[i]`.
    ///
    /// # Panics
    /// When `axes` is no permutation of the axes.
    pub fn transposed(&self, axes: &[usize]) -> Self {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..self.shape.len()), "{axes:?} of shape {:?}", self.shape);
        let stride = |axis: usize| self.shape[axis + 1..].iter().product::<usize>();
        let mut offsets = vec![0];
        for &axis in axes {
            let steps = (0..self.shape[axis]).map(|at| at * stride(axis));
            offsets = offsets.iter().flat_map(|start| steps.clone().map(move |step| start + step)).collect();
        }
        let values = offsets.into_iter().map(|offset| self.values[offset]).collect();
        let shape = axes.iter().map(|&axis| self.shape[axis]).collect::<Vec<_>>();
        Self::new(shape, values).stored_as(self.dtype)
    }

    /// Whether an axis has extent zero.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        write!(f, "Array{:?} {:?}", self.shape, &self.values[..self.values.len().min(SHOWN)])?;
        if self.values.len() > SHOWN { f.write_str(" …") } else { Ok(()) }
    }
}
