//! Operators that make one tensor of several.

use super::{Lower, one};
use crate::import::Fault;
use crate::import::tflite::lower::{Lowering, Value, axis_of, misfit};
use crate::import::tflite::model::Operator;
use crate::import::tflite::options::{Activation, Concatenation, Pack};

pub(super) const OPERATORS: &[(&str, Lower)] = &[("CONCATENATION", concatenation), ("PACK", pack)];

fn concatenation(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<Concatenation>()?;
    if options.activation != Activation::None {
        return Err(misfit("the fused activation", format!("{:?}", options.activation), "none"));
    }
    let inputs = low.all(operator)?;
    let rank = inputs.first().map_or(0, |&x| low.graph.dims(x).len());
    one(low.concatenated(&inputs, axis_of(rank, options.axis.into())?)?)
}

fn pack(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let inputs = low.all(operator)?;
    let rank = inputs.first().map_or(0, |&x| low.graph.dims(x).len());
    let axis = axis_of(rank + 1, operator.options::<Pack>()?.axis.into())?;
    let mut parts = Vec::new();
    for x in inputs {
        let mut dims = low.dims(x);
        if dims.len() != rank {
            return Err(misfit("an input", format!("shape {dims:?}"), format!("{rank} axes")));
        }
        dims.insert(axis, 1);
        parts.push(low.reshape(x, &dims)?);
    }
    one(low.concatenated(&parts, axis)?)
}
