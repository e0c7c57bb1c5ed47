//! The architecture: from Keras' JSON to a [`Network`].

mod functional;
mod sequential;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::path::Path;

use serde_json::{Map, Value};

use super::code;
use super::dialect::{self, MODEL_CLASSES};
use super::json::short;
use super::network::{Config, Inner, Input, Layer, Network, TensorRef};
use super::version::Dialect;
use crate::import::{Fault, ImportError};

/// The longest name of a layer: each of its operators carries it, and those of the models around.
const MAX_NAME_BYTES: usize = 512;

/// Reads the architecture `config` of `file`.
pub(super) fn network(file: &Path, dialect: Dialect, config: &Value) -> Result<Network, ImportError> {
    read(&Reader { file, dialect, refusals: None }, config)
}

/// Reads an architecture also where layers of it are refused, and gives the refusals: the network is one to
/// look at.
pub(super) fn surveyed(
    file: &Path,
    dialect: Dialect,
    config: &Value,
) -> (Result<Network, ImportError>, Vec<ImportError>) {
    let refusals = RefCell::new(Vec::new());
    let network = read(&Reader { file, dialect, refusals: Some(&refusals) }, config);
    (network, refusals.into_inner())
}

fn read(reader: &Reader<'_>, config: &Value) -> Result<Network, ImportError> {
    let file = reader.file;
    let class = config.get("class_name").and_then(Value::as_str).unwrap_or_default();
    let at = |fault| ImportError::in_file(file, fault);
    let Some(inside) = config.get("config").filter(|_| !class.is_empty()) else {
        return Err(at(unexpected("the architecture", config, "an object with `class_name` and `config`")));
    };
    let module = config.get("module").and_then(Value::as_str);
    if !MODEL_CLASSES.contains(&class) || !module.is_none_or(code::is_keras) {
        return Err(at(Fault::Unsupported {
            what: format!("a model of the class `{class}`"),
            remedy: format!(
                "a class of your own may compute anything; if `{class}` only changes training, save \
                 `keras.Model(model.inputs, model.outputs)` in its place"
            ),
        }));
    }
    reader.model("", class, inside, "model")
}

struct Reader<'a> {
    file: &'a Path,
    dialect: Dialect,
    /// Where refusals of layers go; without it, the first one ends the reading.
    refusals: Option<&'a RefCell<Vec<ImportError>>>,
}

impl Reader<'_> {
    /// An error in the layer at `path`, or in the file where `path` is empty.
    fn error(&self, path: &str, class: &str, fault: Fault) -> ImportError {
        if path.is_empty() {
            ImportError::in_file(self.file, fault)
        } else {
            ImportError::in_layer(self.file, path, class, fault)
        }
    }

    /// Refuses the layer at `path`.
    fn refuse(&self, path: &str, class: &str, fault: Fault) -> Result<(), ImportError> {
        let error = self.error(path, class, fault);
        match self.refusals {
            Some(refusals) => refusals.borrow_mut().push(error),
            None => return Err(error),
        }
        Ok(())
    }

    fn model(&self, path: &str, class: &str, config: &Value, name: &str) -> Result<Network, ImportError> {
        let name = config.get("name").and_then(Value::as_str).unwrap_or(name);
        match config {
            Value::Array(layers) => self.sequential(path, name, &Value::Null, layers),
            Value::Object(map) => match map.get("layers") {
                Some(Value::Array(layers)) if class == "Sequential" => {
                    self.sequential(path, name, config, layers)
                }
                Some(Value::Array(layers)) => self.functional(path, name, map, layers),
                Some(other) => Err(self.error(path, class, unexpected("`layers`", other, "a list"))),
                None => Err(self.error(
                    path,
                    class,
                    Fault::Unsupported {
                        what: "a subclassed model, whose layers and calls are not in the file,".into(),
                        remedy: "build it with the functional API and copy the weights with `set_weights`"
                            .into(),
                    },
                )),
            },
            other => {
                Err(self.error(path, class, unexpected("the model's `config`", other, "an object or a list")))
            }
        }
    }

    /// One layer, without its calls.
    fn layer(&self, path: &str, value: &Value, position: usize) -> Result<Layer, ImportError> {
        let expected = "a layer with `class_name` and `config`";
        let (Some(class), Some(config)) =
            (value.get("class_name").and_then(Value::as_str), value.get("config"))
        else {
            return Err(self.error(path, "", unexpected("`layers`", value, expected)));
        };
        let name = match value.get("name").or_else(|| config.get("name")) {
            Some(Value::String(name)) => name.clone(),
            // Only Keras 1 and 2.0 to 2.2 leave out a name, that of a Sequential model in another.
            _ => format!("{}_{position}", class.to_lowercase()),
        };
        if name.len() > MAX_NAME_BYTES {
            let fault = Fault::Limit {
                what: "the length of a layer's name in bytes",
                found: name.len() as u64,
                limit: MAX_NAME_BYTES as u64,
            };
            return Err(self.error(path, "", fault));
        }
        let path = join(path, &name);
        let mut is_refused = false;
        if let Err(fault) = code::refuse(value) {
            self.refuse(&path, class, fault)?;
            is_refused = true;
        }
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut layer = Layer {
            class: class.to_owned(),
            is_operation: false,
            module: text("module"),
            registered_name: text("registered_name"),
            config: Config::default(),
            inner: Inner::None,
            weights: Vec::new(),
            name,
        };
        if MODEL_CLASSES.contains(&class) && layer.module.as_deref().is_none_or(code::is_keras) {
            layer.inner = Inner::Network(Box::new(self.model(&path, class, config, &layer.name)?));
            let settings = config.as_object().into_iter().flatten();
            let kept = settings.filter(|(key, _)| matches!(key.as_str(), "trainable" | "dtype"));
            layer.config = Config(kept.map(|(key, value)| (key.clone(), value.clone())).collect());
            if class == "Model" {
                layer.class = "Functional".into();
            }
            return Ok(layer);
        }
        let mut map = match config {
            Value::Object(map) => map.clone(),
            _ if is_refused => Map::new(),
            _ => return Err(self.error(&path, class, unexpected("`config`", config, "an object"))),
        };
        layer.inner = self.wrapped(&path, &mut map)?;
        match dialect::to_keras3(self.dialect, class, map) {
            Ok((class, config)) => (layer.class, layer.config) = (class, Config(config)),
            Err(fault) => self.refuse(&path, class, fault)?,
        }
        Ok(layer)
    }

    /// Takes the layers inside a wrapper out of its config.
    fn wrapped(&self, path: &str, config: &mut Map<String, Value>) -> Result<Inner, ImportError> {
        let is_layer = |value: &Value| value.get("class_name").is_some() && value.get("config").is_some();
        let mut layers = Vec::new();
        if config.get("cells").and_then(Value::as_array).is_some_and(|cells| cells.iter().all(is_layer)) {
            for (position, cell) in
                config.remove("cells").iter().flat_map(Value::as_array).flatten().enumerate()
            {
                layers.push(self.layer(path, cell, position)?);
            }
        }
        for key in ["layer", "cell"] {
            if config.get(key).is_some_and(is_layer) {
                let value = config.remove(key).unwrap_or_default();
                layers.push(self.layer(path, &value, layers.len())?);
            }
        }
        if config.contains_key("merge_mode")
            && let [forward] = layers.as_mut_slice()
        {
            let backward = match config.remove("backward_layer").filter(is_layer) {
                Some(value) => self.layer(path, &value, 1)?,
                None => backward_of(forward).map_err(|fault| self.error(path, "Bidirectional", fault))?,
            };
            if !forward.name.starts_with("forward_") {
                forward.name.insert_str(0, "forward_");
            }
            layers.push(backward);
        }
        Ok(if layers.is_empty() { Inner::None } else { Inner::Layers(layers) })
    }

    fn input(&self, path: &str, layer: &Layer, tensor: TensorRef) -> Result<Input, ImportError> {
        let fail = |fault| self.error(&join(path, &layer.name), &layer.class, fault);
        if layer.class != "InputLayer" {
            return Err(fail(Fault::Unexpected {
                place: "`input_layers`".into(),
                found: format!("a layer of class `{}`", layer.class),
                expected: "an InputLayer".into(),
            }));
        }
        let shape = match layer.config.get("batch_shape") {
            None => None,
            Some(shape) => Some(
                extents(shape)
                    .ok_or_else(|| fail(unexpected("`batch_shape`", shape, "a list of extents or nulls")))?,
            ),
        };
        let dtype = layer.config.str_or("dtype", "float32").map_err(fail)?.to_owned();
        Ok(Input { tensor, name: layer.name.clone(), shape, dtype })
    }
}

/// Where `Bidirectional` names no backward layer, it is the forward one run the other way.
fn backward_of(forward: &Layer) -> Result<Layer, Fault> {
    // Besides having no meaning, each level would double the number of layers.
    if holds_bidirectional(forward) {
        return Err(Fault::Unexpected {
            place: "`layer`".into(),
            found: "a Bidirectional layer inside".into(),
            expected: "a recurrent layer".into(),
        });
    }
    let mut backward = forward.clone();
    let plain_name = forward.name.strip_prefix("forward_").unwrap_or(&forward.name);
    backward.name = format!("backward_{plain_name}");
    let go_backwards = !forward.config.bool_or("go_backwards", false)?;
    backward.config.0.insert("go_backwards".into(), go_backwards.into());
    Ok(backward)
}

fn holds_bidirectional(layer: &Layer) -> bool {
    layer.class == "Bidirectional" || layer.inner.layers().iter().any(holds_bidirectional)
}

/// A list of extents, unknown ones null.
fn extents(shape: &Value) -> Option<Vec<Option<usize>>> {
    let extent = |value: &Value| match value {
        Value::Null => Some(None),
        number => number.as_u64().and_then(|extent| usize::try_from(extent).ok()).map(Some),
    };
    shape.as_array()?.iter().map(extent).collect()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

fn duplicate(name: &str) -> Fault {
    Fault::Unexpected {
        place: "`layers`".into(),
        found: format!("two layers called `{name}`"),
        expected: "a name of its own for each layer".into(),
    }
}

fn unexpected(place: &str, found: &Value, expected: &str) -> Fault {
    Fault::Unexpected { place: place.into(), found: short(found), expected: expected.into() }
}
