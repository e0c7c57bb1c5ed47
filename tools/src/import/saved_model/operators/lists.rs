//! Lists of tensors, which loops read and fill.

use std::rc::Rc;

use serde_json::json;

use super::super::known;
use super::super::lower::{Lowering, Value};
use super::Args;
use super::shapes::row;
use crate::import::Fault;
use crate::import::keras::Argument;

/// The longest list.
const MAX_ITEMS: i64 = 1 << 16;

pub(super) const NAMES: &[&str] = &[
    "TensorListFromTensor",
    "TensorListGetItem",
    "TensorListLength",
    "TensorListReserve",
    "TensorListSetItem",
    "TensorListStack",
];

pub(super) fn evaluate(low: &mut Lowering<'_, '_>, args: &Args<'_>) -> Result<Vec<Value>, Fault> {
    let list = |number: usize| match args.get(number)? {
        Value::List(items) => Ok(items.clone()),
        // What is set in such a list is not read from it.
        Value::Rows(_) => Err(args.unsupported()),
        _ => Err(args.damage("no list")),
    };
    let index = |number: usize, items: &[Option<Value>]| -> Result<usize, Fault> {
        let index = args.known(number)?.scalar().unwrap_or(-1.0);
        let found = (index >= 0.0 && index < items.len() as f64).then_some(index as usize);
        found.ok_or_else(|| args.damage("an index beyond its list"))
    };
    let rows = match args.inputs.first() {
        Some(&Value::Rows(tensor)) => Some(tensor),
        _ => None,
    };
    Ok(vec![match (args.node.op.as_str(), rows) {
        ("TensorListReserve", _) => {
            let count = args.known(1)?.scalar().unwrap_or(-1.0) as i64;
            if !(0..=MAX_ITEMS).contains(&count) {
                return Err(args.damage("an impossible length"));
            }
            Value::List(Rc::new(vec![None; count as usize]))
        }
        ("TensorListFromTensor", _) => {
            let count = low.extents(args.get(0)?)?.first().copied();
            let count = count.ok_or_else(|| args.damage("no axis to divide"))?;
            if count as i64 > MAX_ITEMS {
                return Err(args.damage("an impossible length"));
            }
            match args.get(0)? {
                Value::Tensor(tensor) => Value::Rows(*tensor),
                known => {
                    let rows = (0..count).map(|index| Ok(Some(row(low, known, index)?)));
                    Value::List(Rc::new(rows.collect::<Result<Vec<_>, Fault>>()?))
                }
            }
        }
        ("TensorListGetItem", Some(tensor)) => {
            let rows = Value::Tensor(tensor);
            let count = low.extents(&rows)?.first().copied().unwrap_or(0);
            row(low, &rows, args.axis(args.known(1)?.scalar().unwrap_or(-1.0) as i64, count)?)?
        }
        ("TensorListGetItem", _) => {
            let items = list(0)?;
            let item = items[index(1, &items)?].clone();
            item.ok_or_else(|| args.damage("an item that was never set"))?
        }
        ("TensorListSetItem", _) => {
            let mut items = list(0)?;
            let at = index(1, &items)?;
            Rc::make_mut(&mut items)[at] = Some(args.get(2)?.clone());
            Value::List(items)
        }
        ("TensorListStack", Some(tensor)) => Value::Tensor(tensor),
        ("TensorListStack", _) => {
            let items = list(0)?;
            // An item that was never set is of zeros; that of loops which keep the last alone.
            let set: Vec<Value> = items.iter().flatten().cloned().collect();
            if set.len() != items.len() || set.is_empty() {
                return Err(args.unsupported());
            }
            let all: Option<Vec<_>> = set
                .iter()
                .map(|item| match item {
                    Value::Known(known) => Some(known::Known::new(
                        &known.name,
                        [&[1], known.shape.as_slice()].concat(),
                        known.values.clone(),
                        known.is_integer,
                    )),
                    _ => None,
                })
                .collect();
            if let Some(known) = all.and_then(|parts| known::concatenated(&parts, 0)) {
                return Ok(vec![Value::Known(known)]);
            }
            let tensors = set.iter().map(|item| low.tensor(item)).collect::<Result<Vec<_>, _>>()?;
            let made = low.builder.foreign_operation(
                "Stack",
                vec![Argument::Tensors(tensors)],
                json!({"axis": 0}),
            )?;
            Value::Tensor(super::one(made, args)?)
        }
        ("TensorListLength", _) => Value::Known(known::Known::ints(vec![], [list(0)?.len() as i64])),
        _ => return Err(args.unsupported()),
    }])
}
