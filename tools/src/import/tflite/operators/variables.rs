//! Variables: memory by name that survives a run.
//!
//! Operators run in the order of the file, so that what a variable holds is known at each: what it held
//! when the run began, or what was last assigned to it. What it holds in the end, the next run finds.

use super::{Lower, one};
use crate::graph::Data;
use crate::import::Fault;
use crate::import::tflite::lower::{Lowering, Value, misfit};
use crate::import::tflite::model::{Operator, OperatorCode};
use crate::import::tflite::options::{CallOnce, VarHandle};

pub(super) const OPERATORS: &[(&str, Lower)] = &[
    ("ASSIGN_VARIABLE", assign_variable),
    ("CALL_ONCE", call_once),
    ("READ_VARIABLE", read_variable),
    ("VAR_HANDLE", var_handle),
];

fn var_handle(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<VarHandle>()?;
    Ok(vec![Value::Variable(low.variable(&options.container, &options.shared_name))])
}

fn read_variable(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let number = low.handle(operator)?;
    let &[output] = operator.outputs.as_slice() else {
        return Err(misfit("the operator", format!("{} outputs", operator.outputs.len()), "one"));
    };
    if let Some(held) = low.variables[number].held {
        return one(held);
    }
    let (dims, zeros, quant) = low.blank(output)?;
    let name = low.variables[number].name.clone();
    let init = low.variables[number].init.clone().unwrap_or(zeros.clone());
    if (init.dtype(), init.len()) != (zeros.dtype(), zeros.len()) {
        let found = format!("{} elements of {}", init.len(), init.dtype().name());
        let expected = format!("{} of {}", zeros.len(), zeros.dtype().name());
        return Err(misfit(format!("the first value of the variable `{name}`"), found, expected));
    }
    let held = low.graph.add_state(&name, &dims, init, quant);
    low.variables[number].state = Some(held);
    low.variables[number].held = Some(held);
    one(held)
}

fn assign_variable(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let (number, value) = (low.handle(operator)?, low.x(operator, 1)?);
    if let Some(state) = low.variables[number].state {
        let [held, given] = [state, value].map(|id| {
            let quant = low.graph.quant(id);
            let meaning = quant.map_or("reals".to_owned(), |quant| {
                format!(
                    "{}, scales {:?}, zero points {:?}",
                    quant.dtype.name(),
                    quant.scales,
                    quant.zero_points
                )
            });
            format!("shape {:?} of {meaning}", low.graph.dims(id))
        });
        if held != given {
            return Err(misfit(format!("the variable `{}`", low.variables[number].name), given, held));
        }
    }
    low.variables[number].held = Some(value);
    Ok(Vec::new())
}

/// What a first run does once: it gives variables their first values.
fn call_once(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let number = operator.options::<CallOnce>()?.init_subgraph;
    let subgraph = usize::try_from(number).ok().filter(|&number| number > 0);
    let Some(subgraph) = subgraph.and_then(|number| low.model.subgraphs.get(number)) else {
        return Err(misfit("the graph to call", number.to_string(), "one of the others"));
    };
    let mut handles = vec![None; subgraph.tensors.len()];
    for step in &subgraph.operators {
        let first = |of: &[Option<usize>]| of.first().copied().flatten();
        match step.code {
            OperatorCode::Builtin("VAR_HANDLE") => {
                let options = step.options::<VarHandle>()?;
                let variable = low.variable(&options.container, &options.shared_name);
                if let Some(&output) = step.outputs.first() {
                    handles[output] = Some(variable);
                }
            }
            OperatorCode::Builtin("ASSIGN_VARIABLE") => {
                let variable = first(&step.inputs).and_then(|handle| handles[handle]);
                let value = step.inputs.get(1).copied().flatten().map(|value| &subgraph.tensors[value]);
                let (Some(variable), Some(value)) = (variable, value) else {
                    return Err(misfit("an assignment", "a variable or value that is not there", "both"));
                };
                let data: Data = low.stored(value)?;
                low.variables[variable].init = Some(data);
            }
            _ => {
                return Err(Fault::Unsupported {
                    what: format!("the operator {} before the first run", step.code.name()),
                    remedy: "give variables constants as first values and convert the model again".into(),
                });
            }
        }
    }
    Ok(Vec::new())
}
