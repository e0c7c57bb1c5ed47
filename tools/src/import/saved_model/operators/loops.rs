//! Loops and branches whose conditions are known.

use super::super::lower::{Lowering, Value};
use super::{Args, recurrent};
use crate::import::Fault;

/// The most turns of a loop.
const MAX_TURNS: usize = 1 << 14;

pub(super) fn evaluate(low: &mut Lowering<'_, '_>, args: Args<'_>) -> Result<Vec<Value>, Fault> {
    let function = |name: &str| args.node.function(name).ok_or_else(|| args.damage("no function"));
    let holds = |value: Option<&Value>| match value {
        Some(Value::Known(known)) => known.scalar().map(|value| value != 0.0),
        _ => None,
    };
    let open = || Fault::Unsupported {
        what: format!("{} whose condition depends on the model's inputs", args.node.op),
        remedy: "build the model without it: each run of a step takes the same time and memory".into(),
    };
    if args.node.op.ends_with("If") {
        let branch = if holds(args.inputs.first()).ok_or_else(open)? { "then_branch" } else { "else_branch" };
        return low.call(function(branch)?, args.inputs[1..].to_vec());
    }
    let (condition, body) = (function("cond")?, function("body")?);
    if let Some(after) = recurrent::evaluate(low, [condition, body], &args.inputs)? {
        return Ok(after);
    }
    let mut state = args.inputs.clone();
    for _ in 0..MAX_TURNS {
        if !holds(low.call(condition, state.clone())?.first()).ok_or_else(open)? {
            return Ok(state);
        }
        state = low.call(body, state)?;
    }
    Err(Fault::Limit { what: "the turns of a loop", found: MAX_TURNS as u64 + 1, limit: MAX_TURNS as u64 })
}
