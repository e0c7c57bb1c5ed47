//! Reals to 8-bit integers.

use super::{Operator, part};
use crate::exact::{Operand, Values};
use crate::graph::Node;
use crate::quant::Quant;
use flatpack_format::ops::quantize::QuantizeParams;
use flatpack_format::{DType, OpCode};

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::Quantize, exact) };

/// The node that makes integers of the reals which `node` reads.
pub(crate) fn node(node: &Node, y: &Quant) -> Node {
    let mut made = Node { op: OpCode::Quantize, ..node.clone() };
    made.set_params(QuantizeParams {
        scale: y.scale(),
        zero_point: y.zero_point(),
        dtype: u32::from(y.dtype as u8),
    });
    made
}

fn exact(node: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    let p: QuantizeParams = node.params();
    let dtype = if p.dtype == DType::U8 as u32 { DType::U8 } else { DType::I8 };
    let quant = Quant::per_tensor(dtype, p.scale, p.zero_point);
    Values::Integers(inputs[0].values.floats().iter().map(|&x| quant.quantize(x)).collect())
}
