//! Sparsemax along one axis, as Keras 3 computes it on each of its backends.
//!
//! Of a vector's elements in descending order, `z₁ ≥ z₂ ≥ …`, with running sums `sᵢ = z₁ + … + zᵢ`, the
//! support is the first k, those with `1 + i·zᵢ > sᵢ`. Then `τ = (Σ_{i≤k} sᵢ − 1) / k` and
//! `y = max(x − τ, 0)`.
//!
//! This is not the projection onto the probability simplex that sparsemax was published as (Martins and
//! Astudillo, 2016), whose threshold is `(s_k − 1) / k`: Keras adds up running sums where the paper adds
//! up elements. Both are the same where k = 1; elsewhere y does not sum to 1. Models are trained with
//! what Keras computes, and must go on to see it.

use super::{PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `sparsemax`: 4 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct SparsemaxParams {
    /// The axis that is normalised.
    pub axis: u32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<SparsemaxParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<SparsemaxParams>(params)?;
    let [x] = f32_inputs(inputs)?;
    let (_, len, _) = x.around(p.axis as usize).ok_or(Misfit::Params)?;
    if len == 0 {
        return Err(Misfit::Shape(0));
    }
    Ok(TensorType::f32(x))
}
