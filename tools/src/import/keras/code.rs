//! Architectures that name Python code.
//!
//! Keras' JSON names classes and functions by module, and older versions of Keras import whatever a file
//! names. Here a name is looked up in tables of our own and nothing is imported, so that such a file can do
//! no harm; but what it says cannot be computed, and pretending to would hide what it is.

use serde_json::{Map, Value};

use super::json::short;
use crate::import::Fault;

/// Whether a Python module is a part of Keras.
pub(super) fn is_keras(module: &str) -> bool {
    const ROOTS: [&str; 5] = ["keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras", "builtins"];
    ROOTS
        .iter()
        .any(|root| module.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// Refuses the entry of a layer that is none, or whose arguments or calls name code.
///
/// Layers whose class is code ([`class`]) are refused when they are lowered, by their own words.
pub(super) fn refuse(entry: &Value) -> Result<(), Fault> {
    let class = entry.get("class_name").and_then(Value::as_str).unwrap_or_default();
    if class == "function" || class == LAMBDA {
        return Err(named(entry, "in place of a layer"));
    }
    if self::class(class, entry.get("module").and_then(Value::as_str)).is_some() {
        return Ok(());
    }
    refuse_arguments(entry)
}

/// Refuses the entry of a layer whose arguments or calls name code, whatever its class is.
pub(super) fn refuse_arguments(entry: &Value) -> Result<(), Fault> {
    ["config", "inbound_nodes"].iter().try_for_each(|key| match entry.get(*key) {
        Some(value) => search(key, value, &mut |at, found| Err(named(found, &format!("as `{at}`")))),
        None => Ok(()),
    })
}

/// Why a class is code, if it is.
pub(super) fn class(class: &str, module: Option<&str>) -> Option<Fault> {
    let what = match (class, module.filter(|module| !is_keras(module))) {
        ("Lambda", _) => {
            return Some(Fault::Code {
                what: "it is Python code".into(),
                remedy: "say by `--map` what it computes, or replace it by built-in layers such as Rescaling before \
                         saving",
            });
        }
        ("TFSMLayer", _) => "it runs a SavedModel outside this file".into(),
        ("TorchModuleWrapper" | "JaxLayer" | "FlaxLayer", _) => "it is code of another framework".into(),
        (_, Some(module)) => {
            format!(
                "it needs the class `{class}` of the Python module `{module}`, whose code is not in the file"
            )
        }
        _ => return None,
    };
    Some(Fault::Code { what, remedy: FOREIGN })
}

/// The class of a layer that is not Keras' own.
pub(super) fn custom(name: &str) -> Fault {
    let what = format!("it needs the custom layer `{name}`, whose Python code is not in the file");
    Fault::Code { what, remedy: FOREIGN }
}

/// What to do about a class that is not Keras' own.
const FOREIGN: &str = "say by `--map` which of Keras' layers compute it, or replace it by those, copy the weights with \
                       `set_weights` and save again";

/// What the file names for training only, and is not Keras' own: for people who did not expect it.
pub(super) fn notes(config: &Value) -> Vec<String> {
    fn layers(value: &Value, notes: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let (Some(name), Some(Value::Object(config))) =
                    (map.get("name").or(value.pointer("/config/name")), map.get("config"))
                {
                    for (key, value) in config.iter().filter(|(key, _)| is_for_training(key)) {
                        let name = name.as_str().unwrap_or_default();
                        let note = |found: &Value| {
                            format!(
                                "layer `{name}`: `{key}` is {}, which only training needs: not read",
                                describe(found)
                            )
                        };
                        let _ = search(key, value, &mut |_, found| {
                            notes.push(note(found));
                            Ok(())
                        });
                    }
                }
                map.values().for_each(|value| layers(value, notes));
            }
            Value::Array(values) => values.iter().for_each(|value| layers(value, notes)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    layers(config, &mut found);
    found
}

/// A function of Python as its bytecode.
const LAMBDA: &str = "__lambda__";

/// Arguments that prediction does not take.
fn is_for_training(key: &str) -> bool {
    ["_initializer", "_regularizer", "_constraint"].iter().any(|end| key.ends_with(end))
        || matches!(key, "build_config" | "compile_config")
}

/// Calls `found` for each object in `value` that names code outside of Keras, but inside of layers and of
/// what only training takes.
fn search(
    key: &str,
    value: &Value,
    found: &mut impl FnMut(&str, &Value) -> Result<(), Fault>,
) -> Result<(), Fault> {
    match value {
        Value::Object(map) if names_code(map) => found(key, value),
        // Each layer inside is looked at for itself.
        Value::Object(map) if map.contains_key("inbound_nodes") => Ok(()),
        Value::Object(map) => {
            let mut read = map.iter().filter(|(key, _)| !is_for_training(key) && *key != "layers");
            read.try_for_each(|(key, value)| search(key, value, found))
        }
        Value::Array(values) => values.iter().try_for_each(|value| search(key, value, found)),
        _ => Ok(()),
    }
}

fn names_code(map: &Map<String, Value>) -> bool {
    let text = |key: &str| map.get(key).and_then(Value::as_str);
    match (text("class_name"), text("module")) {
        (Some(LAMBDA), _) => true,
        // Keras has functions that fetch files and set switches, too.
        (Some("function"), Some(module)) => {
            let computes =
                module == "builtins" || module.split('.').any(|part| matches!(part, "activations" | "ops"));
            !is_keras(module) || !computes
        }
        (Some(_), Some(module)) => !is_keras(module),
        _ => false,
    }
}

fn named(found: &Value, place: &str) -> Fault {
    Fault::Code {
        what: format!("it names {} {place}", describe(found)),
        remedy: "if you did not write this model, do not load it in Python either; else use Keras' own layers and \
                 functions and save again",
    }
}

/// The code that an object names.
fn describe(found: &Value) -> String {
    let text = |key: &str| found.get(key).and_then(Value::as_str);
    let module = text("module").map(|module| format!("{module}.")).unwrap_or_default();
    match (text("class_name"), found.get("config")) {
        (Some(LAMBDA), _) => "Python bytecode".into(),
        (Some("function"), Some(Value::String(name))) => format!("the Python function `{module}{name}`"),
        (Some(class), _) => format!("`{module}{class}` of Python"),
        _ => short(found),
    }
}
