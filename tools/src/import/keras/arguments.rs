//! The arguments of a call, from the three ways Keras writes them.
//!
//! Keras 3 writes `{"args": […], "kwargs": {…}}` with tensors as `__keras_tensor__` objects. Keras 1
//! and 2 write a list of `[layer, node, tensor, kwargs]`, where each entry repeats the same keyword
//! arguments; an operation layer (`TFOpLambda`) with a single tensor has that entry without the list
//! around it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::dialect::unwrap_containers;
use super::json::short;
use super::network::{Arg, LayerId, TensorRef};
use crate::import::Fault;

/// Positional and keyword arguments.
pub(super) type Arguments = (Vec<Arg>, Vec<(String, Arg)>);

/// Stands for a layer's name where a first argument is no tensor (Keras 2.4 and later).
const CONSTANT_VALUE: &str = "_CONSTANT_VALUE";

/// Reads arguments in a network whose layers have these names.
pub(super) struct Scope<'a> {
    /// Positions of the layers.
    pub(super) layers: &'a HashMap<String, LayerId>,
}

impl Scope<'_> {
    /// One entry of `inbound_nodes`. A list around a single tensor means the tensor, unless the
    /// layer `keeps_lists`.
    pub(super) fn call(&self, node: &Value, keeps_lists: bool) -> Result<Arguments, Fault> {
        let (args, mut kwargs) = match node {
            Value::Object(map) if map.contains_key("args") => self.keras3_call(map)?,
            Value::Array(entry) if is_reference(entry) => {
                let mut kwargs = Vec::new();
                let arg = self.entry(node, &mut kwargs)?;
                (vec![arg], kwargs)
            }
            Value::Array(entries) => {
                let mut kwargs = Vec::new();
                let mut args = entries
                    .iter()
                    .map(|entry| self.entry(entry, &mut kwargs))
                    .collect::<Result<Vec<_>, _>>()?;
                let arg = match args.len() {
                    1 if !keeps_lists => args.remove(0),
                    _ => list(args),
                };
                (vec![arg], kwargs)
            }
            Value::Object(_) => {
                let mut kwargs = Vec::new();
                let arg = self.entry(node, &mut kwargs)?;
                (vec![arg], kwargs)
            }
            other => return Err(unexpected(other, "a list of calls")),
        };
        kwargs.retain(|(_, arg)| *arg != Arg::Constant(Value::Null));
        Ok((args, kwargs))
    }

    fn keras3_call(&self, node: &Map<String, Value>) -> Result<Arguments, Fault> {
        let args = match node.get("args").map(|args| self.argument(args)).transpose()? {
            Some(Arg::List(args)) => args,
            Some(Arg::Constant(Value::Array(values))) => values.into_iter().map(Arg::Constant).collect(),
            _ => return Err(unexpected(&Value::Object(node.clone()), "a list as `args`")),
        };
        let kwargs = match node.get("kwargs") {
            Some(Value::Object(map)) => self.named(map)?,
            None | Some(Value::Null) => Vec::new(),
            Some(other) => return Err(unexpected(other, "an object as `kwargs`")),
        };
        Ok((args, kwargs))
    }

    /// A part of a Keras 1 or 2 node: a reference, or a list or object of them.
    fn entry(&self, entry: &Value, kwargs: &mut Vec<(String, Arg)>) -> Result<Arg, Fault> {
        match entry {
            Value::Array(items) if is_reference(items) => {
                if let Some(Value::Object(map)) = items.get(3)
                    && kwargs.is_empty()
                {
                    *kwargs = self.named(map)?;
                }
                if items[0] == CONSTANT_VALUE { self.argument(&items[2]) } else { self.reference(items) }
            }
            Value::Array(items) => {
                items.iter().map(|item| self.entry(item, kwargs)).collect::<Result<_, _>>().map(list)
            }
            Value::Object(map) => map
                .iter()
                .map(|(key, item)| Ok((key.clone(), self.entry(item, kwargs)?)))
                .collect::<Result<_, _>>()
                .map(Arg::Dict),
            other => Err(unexpected(other, "[layer name, node index, tensor index]")),
        }
    }

    fn named(&self, map: &Map<String, Value>) -> Result<Vec<(String, Arg)>, Fault> {
        map.iter().map(|(key, value)| Ok((key.clone(), self.argument(value)?))).collect()
    }

    /// A value of any dialect.
    fn argument(&self, value: &Value) -> Result<Arg, Fault> {
        match value {
            Value::Array(items) if self.is_known_reference(items) => self.reference(items),
            Value::Array(items) => {
                items.iter().map(|item| self.argument(item)).collect::<Result<_, _>>().map(list)
            }
            Value::Object(map) => self.object(map),
            constant => Ok(Arg::Constant(constant.clone())),
        }
    }

    fn object(&self, map: &Map<String, Value>) -> Result<Arg, Fault> {
        let config = || map.get("config").unwrap_or(&Value::Null);
        match map.get("class_name").and_then(Value::as_str) {
            Some("__keras_tensor__") => match config().get("keras_history") {
                Some(Value::Array(items)) if is_reference(items) => self.reference(items),
                _ => Err(unexpected(config(), "a tensor with its `keras_history`")),
            },
            Some("__ellipsis__") => Ok(Arg::Ellipsis),
            Some("__slice__") => match config() {
                Value::Object(bounds) => self.slice(bounds),
                other => Err(unexpected(other, "a slice")),
            },
            Some("__tuple__") => self.argument(map.get("items").unwrap_or(config())),
            Some(_) => {
                let mut constant = Value::Object(map.clone());
                unwrap_containers(&mut constant);
                Ok(Arg::Constant(constant))
            }
            None if map.len() == 3 && ["start", "stop", "step"].iter().all(|key| map.contains_key(*key)) => {
                self.slice(map)
            }
            None => {
                let named = self.named(map)?;
                Ok(if named.iter().all(|(_, arg)| matches!(arg, Arg::Constant(_))) {
                    Arg::Constant(Value::Object(map.clone()))
                } else {
                    Arg::Dict(named)
                })
            }
        }
    }

    fn slice(&self, bounds: &Map<String, Value>) -> Result<Arg, Fault> {
        let bound = |key: &str| self.argument(bounds.get(key).unwrap_or(&Value::Null)).map(Box::new);
        Ok(Arg::Slice { start: bound("start")?, stop: bound("stop")?, step: bound("step")? })
    }

    fn is_known_reference(&self, items: &[Value]) -> bool {
        is_reference(items) && items[0].as_str().is_some_and(|name| self.layers.contains_key(name))
    }

    fn reference(&self, items: &[Value]) -> Result<Arg, Fault> {
        self.tensor(&Value::Array(items.to_vec())).map(Arg::Tensor)
    }

    /// `[layer name, node index, tensor index]`.
    pub(super) fn tensor(&self, value: &Value) -> Result<TensorRef, Fault> {
        let expected = "[layer name, node index, tensor index]";
        let items = value
            .as_array()
            .filter(|items| is_reference(items))
            .ok_or_else(|| unexpected(value, expected))?;
        let index = |at: usize| {
            items[at]
                .as_u64()
                .and_then(|index| usize::try_from(index).ok())
                .ok_or_else(|| unexpected(value, expected))
        };
        let name = items[0].as_str().unwrap_or_default();
        let layer = self.layers.get(name).copied().ok_or_else(|| Fault::Unexpected {
            place: "a call".into(),
            found: format!("a tensor of layer `{name}`"),
            expected: "the name of a layer of this model".into(),
        })?;
        Ok(TensorRef { layer, node: index(1)?, tensor: index(2)? })
    }
}

/// Whether this looks like `[layer name, node index, tensor index]` with or without arguments.
pub(super) fn is_reference(items: &[Value]) -> bool {
    match items {
        [Value::String(name), Value::Number(_), tensor]
        | [Value::String(name), Value::Number(_), tensor, _] => tensor.is_number() || name == CONSTANT_VALUE,
        _ => false,
    }
}

/// A list, which is a constant when each of its elements is.
fn list(args: Vec<Arg>) -> Arg {
    if !args.iter().all(|arg| matches!(arg, Arg::Constant(_))) {
        return Arg::List(args);
    }
    let values = args.into_iter().filter_map(|arg| match arg {
        Arg::Constant(value) => Some(value),
        _ => None,
    });
    Arg::Constant(Value::Array(values.collect()))
}

fn unexpected(found: &Value, expected: &str) -> Fault {
    Fault::Unexpected { place: "`inbound_nodes`".into(), found: short(found), expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(node: Value) -> Arguments {
        call_of(node, false)
    }

    fn call_of(node: Value, keeps_lists: bool) -> Arguments {
        let layers = [("a".to_owned(), LayerId(0)), ("b".to_owned(), LayerId(1))].into();
        Scope { layers: &layers }.call(&node, keeps_lists).unwrap()
    }

    fn tensor(layer: usize, node: usize) -> Arg {
        Arg::Tensor(TensorRef { layer: LayerId(layer), node, tensor: 0 })
    }

    fn constant(value: Value) -> Arg {
        Arg::Constant(value)
    }

    #[test]
    fn keras_1_and_2_calls_are_one_tensor_or_one_list() {
        assert_eq!(call(json!([["a", 0, 0]])), (vec![tensor(0, 0)], vec![]));
        assert_eq!(
            call(json!([["a", 0, 0, {}], ["b", 2, 0, {}]])),
            (vec![Arg::List(vec![tensor(0, 0), tensor(1, 2)])], vec![])
        );
    }

    #[test]
    fn keras_2_keyword_arguments_hold_tensors_and_constants() {
        assert_eq!(
            call(json!([["a", 0, 0, {"value": ["b", 0, 0], "training": null, "scale": 2.0}]])),
            (
                vec![tensor(0, 0)],
                vec![("value".into(), tensor(1, 0)), ("scale".into(), constant(json!(2.0)))]
            )
        );
    }

    #[test]
    fn keras_2_operations_take_constants_slices_and_lists() {
        assert_eq!(
            call_of(json!(["_CONSTANT_VALUE", -1, 2.0, {"y": ["a", 0, 0]}]), true),
            (vec![constant(json!(2.0))], vec![("y".into(), tensor(0, 0))])
        );
        assert_eq!(call_of(json!([["a", 0, 0, {}]]), true), (vec![Arg::List(vec![tensor(0, 0)])], vec![]));
        let (_, kwargs) = call_of(
            json!(["a", 0, 0, {"slice_spec": [{"start": null, "stop": 3, "step": null}, {"class_name": "__ellipsis__"}, -1]}]),
            true,
        );
        let slice = Arg::Slice {
            start: Box::new(constant(Value::Null)),
            stop: Box::new(constant(json!(3))),
            step: Box::new(constant(Value::Null)),
        };
        assert_eq!(
            kwargs,
            vec![("slice_spec".into(), Arg::List(vec![slice, Arg::Ellipsis, constant(json!(-1))]))]
        );
    }

    #[test]
    fn keras_3_calls_are_args_and_kwargs() {
        let tensor_object = |name: &str| json!({"class_name": "__keras_tensor__", "config": {"shape": [null, 3], "dtype": "float32", "keras_history": [name, 0, 0]}});
        let (args, kwargs) = call(json!({
            "args": [[tensor_object("a"), tensor_object("b")], 2.0, [1, 2]],
            "kwargs": {"mask": null, "initial_state": [tensor_object("b")]}
        }));
        assert_eq!(
            args,
            vec![Arg::List(vec![tensor(0, 0), tensor(1, 0)]), constant(json!(2.0)), constant(json!([1, 2]))]
        );
        assert_eq!(kwargs, vec![("initial_state".into(), Arg::List(vec![tensor(1, 0)]))]);
    }

    #[test]
    fn a_call_on_a_layer_that_is_not_there_is_an_error() {
        let layers = HashMap::new();
        let error = Scope { layers: &layers }.call(&json!([["gone", 0, 0, {}]]), false).unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    }
}
