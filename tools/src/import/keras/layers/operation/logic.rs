//! Truth: 1 for what holds, 0 for what does not.

use flatpack_format::OpCode;

use super::{reduction, two};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::Lowering;
use crate::import::keras::network::{Arg, Config};

/// 1 where `x` is not 0; a comparison is that already.
fn truth(low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
    let made = low.graph.producer(x).map(|at| low.graph.nodes[at].op);
    if matches!(made, Some(OpCode::Equal | OpCode::NotEqual | OpCode::Greater | OpCode::GreaterEqual)) {
        return Ok(x);
    }
    let zero = low.scalar(0.0);
    low.binary(OpCode::NotEqual, x, zero)
}

/// Whether some, or all, are not 0.
pub(super) fn reduce(
    low: &mut Lowering,
    op: OpCode,
    settings: &Config,
    x: TensorId,
) -> Result<TensorId, Fault> {
    let x = truth(low, x)?;
    reduction::reduce(low, op, settings, x)
}

/// Whether one of two, or both, are not 0.
pub(super) fn binary(low: &mut Lowering, op: OpCode, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let [a, b] = two(low, args)?;
    let (a, b) = (truth(low, a)?, truth(low, b)?);
    Ok(vec![low.binary(op, a, b)?])
}

/// Whether it is 0.
pub(super) fn not(low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
    let zero = low.scalar(0.0);
    low.binary(OpCode::Equal, x, zero)
}

/// A constant of the shape of `x`.
pub(super) fn filled(low: &mut Lowering, value: f32, x: TensorId) -> Result<TensorId, Fault> {
    let dims = low.dims(x);
    let len = dims.iter().product::<u32>() as usize;
    Ok(low.constant("constant", &dims, vec![value; len]))
}
