//! What each operator of TensorFlow Lite becomes: one module per family, each with its table.

use super::lower::{Lowering, Value, statics};
use super::model::Operator;
use crate::graph::TensorId;
use crate::import::Fault;

mod elementwise;
mod merging;
mod parts;
mod products;
mod quantizing;
mod recurrent;
mod reductions;
mod shapes;
mod spatial;
mod variables;

/// What an operator becomes: its outputs.
pub(super) type Lower = fn(&mut Lowering<'_, '_>, &Operator<'_>) -> Result<Vec<Value>, Fault>;

/// Operators by name.
const OPERATORS: &[&[(&str, Lower)]] = &[
    elementwise::OPERATORS,
    merging::OPERATORS,
    parts::OPERATORS,
    products::OPERATORS,
    quantizing::OPERATORS,
    recurrent::OPERATORS,
    reductions::OPERATORS,
    shapes::OPERATORS,
    spatial::OPERATORS,
    variables::OPERATORS,
];

/// How an operator is lowered; `None` if it is not read.
pub(super) fn lower(name: &str) -> Option<Lower> {
    let (_, lower) = OPERATORS.iter().copied().flatten().find(|(known, _)| *known == name)?;
    Some(*lower)
}

/// The operators that are read, sorted.
pub fn supported() -> Vec<&'static str> {
    let lowered = OPERATORS.iter().copied().flatten().map(|(name, _)| *name);
    let mut names: Vec<&str> = lowered.chain(statics::NAMES.iter().copied()).collect();
    names.sort_unstable();
    names
}

/// The one output of an operator.
fn one(id: TensorId) -> Result<Vec<Value>, Fault> {
    Ok(vec![Value::Tensor(id)])
}
