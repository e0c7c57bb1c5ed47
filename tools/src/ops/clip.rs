//! Bounds.

use super::weighted_i8::multiply;
use super::{Operator, dequantize, lookup, quantize, requantize, unary};
use crate::fixed;
use crate::graph::{Graph, Node};
use flatpack_format::ops::Clamp;
use flatpack_format::ops::clip::ClipParams;
use flatpack_format::ops::reshape::ReshapeParams;
use flatpack_format::{DType, OpCode};
use std::mem::offset_of;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: Some(offset_of!(ClipParams, clamp)),
    ..unary::operator(
        OpCode::Clip,
        |r, _, node, inputs| r.clamp(node.params::<ClipParams>().clamp, inputs[0]),
        integer,
    )
};

/// Bounds on integers; without bounds, the conversion from one way to stand for reals to another.
/// Integers that stand for their reals otherwise are requantised as by TensorFlow Lite's `QUANTIZE` and
/// `RELU`.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let clamp = node.params::<ClipParams>().clamp;
    let (x, y) = (graph.quant(node.inputs[0]).cloned(), graph.quant(node.output).cloned());
    let [x, y] = match (x, y) {
        (None, Some(y)) if clamp == Clamp::NONE => return Ok(quantize::node(node, &y)),
        (Some(x), None) if clamp == Clamp::NONE => return Ok(dequantize::node(node, &x)),
        (Some(x), Some(y)) => [x, y],
        _ => return Err("bounds and a conversion between reals and integers in one".into()),
    };
    let are_words = [&x, &y].iter().any(|quant| matches!(quant.dtype, DType::I16 | DType::I32));
    if are_words && clamp == Clamp::NONE && x.is_per_tensor() && y.is_per_tensor() {
        return requantize::node(node, &x, &y);
    }
    for quant in [&x, &y] {
        if !quant.is_per_tensor() || !matches!(quant.dtype, DType::I8 | DType::U8) {
            return Err(format!("{} integers, expected i8 or u8 with one scale", quant.dtype.name()));
        }
    }
    if x == y && clamp == Clamp::NONE {
        let mut same = Node { op: OpCode::Reshape, ..node.clone() };
        same.set_params(ReshapeParams::new(&graph.tensor(node.output).shape()));
        return Ok(same);
    }
    let by = fixed::multiplier(f64::from(x.scale()) / f64::from(y.scale()));
    let by = by.ok_or("scales have no multiplier in 32 bits")?;
    let output = fixed::output(&y, clamp);
    Ok(lookup::node(graph, node, |q| {
        let steps = multiply((q - x.zero_point()).into(), by.mantissa.into(), by.shift.into());
        (steps + i64::from(output.zero_point)).clamp(output.min.into(), output.max.into()) as i32
    }))
}
