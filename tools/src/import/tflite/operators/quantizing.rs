//! Operators that change how reals are stored.

use super::{Lower, one};
use crate::import::Fault;
use crate::import::tflite::lower::{Lowering, Value};
use crate::import::tflite::model::{ElementType, Operator};

pub(super) const OPERATORS: &[(&str, Lower)] =
    &[("CAST", cast), ("DEQUANTIZE", dequantize), ("QUANTIZE", quantize)];

/// A constant stays as it is stored: what computes with it reads its reals.
fn dequantize(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let x = low.x(operator, 0)?;
    if low.graph.is_constant(x) {
        return one(x);
    }
    one(low.unbounded(x)?)
}

fn quantize(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let x = low.x(operator, 0)?;
    one(low.unbounded(x)?)
}

fn cast(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let input = operator.inputs.first().copied().flatten();
    if input.is_some_and(|input| low.is_integers(input)) {
        let integers = low.integers(operator, 0)?;
        let reals: Vec<f32> = integers.values.iter().map(|&value| value as f32).collect();
        return one(low.constant(&integers.dims, reals)?);
    }
    match input.map(|input| low.described(input).element_type) {
        Some(ElementType::F32 | ElementType::F16) => {
            let x = low.x(operator, 0)?;
            one(x)
        }
        other => Err(Fault::Unsupported {
            what: format!("CAST from {}", other.map_or("nothing", ElementType::name)),
            remedy: "build the model with inputs of float32 and convert it again".into(),
        }),
    }
}
