//! The architecture: from Keras' JSON to a [`Network`].

mod functional;
mod sequential;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::code;
use super::dialect::{self, MODEL_CLASSES};
use super::json::short;
use super::layers;
use super::map::{Entry, Key, LayerMap, Masks};
use super::network::{Config, Inner, Input, Layer, Network, TensorRef};
use super::version::Dialect;
use crate::import::{Fault, ImportError};

/// The longest name of a layer: each of its operators carries it, and those of the models around.
const MAX_NAME_BYTES: usize = 512;

/// Reads the architecture `config` of `file`, and gives notes on what stands in place of its layers.
pub(super) fn network(
    file: &Path,
    dialect: Dialect,
    config: &Value,
    map: Option<&LayerMap>,
) -> Result<(Network, Vec<String>), ImportError> {
    let reader = Reader { file, dialect, map, mapped: &Mapped::default(), within: None, refusals: None };
    let network = read(&reader, config)?;
    Ok((network, reader.notes()))
}

/// An architecture to look at.
pub(super) struct Surveyed {
    pub(super) network: Result<Network, ImportError>,
    /// Why layers of it are refused.
    pub(super) refusals: Vec<ImportError>,
    /// What stands in place of layers.
    pub(super) notes: Vec<String>,
}

/// Reads an architecture also where layers of it are refused.
pub(super) fn surveyed(file: &Path, dialect: Dialect, config: &Value, map: Option<&LayerMap>) -> Surveyed {
    let refusals = RefCell::new(Vec::new());
    let reader =
        Reader { file, dialect, map, mapped: &Mapped::default(), within: None, refusals: Some(&refusals) };
    let network = read(&reader, config);
    let notes = reader.notes();
    Surveyed { network, refusals: refusals.into_inner(), notes }
}

fn read(reader: &Reader<'_>, config: &Value) -> Result<Network, ImportError> {
    let file = reader.file;
    let class = config.get("class_name").and_then(Value::as_str).unwrap_or_default();
    let at = |fault| ImportError::in_file(file, fault);
    let Some(inside) = config.get("config").filter(|_| !class.is_empty()) else {
        return Err(at(unexpected("the architecture", config, "an object with `class_name` and `config`")));
    };
    let module = config.get("module").and_then(Value::as_str);
    if let Some((key, Entry::Layer(model, _))) = reader.entry("", config)
        && MODEL_CLASSES.contains(&model.as_str())
    {
        reader.note(key, class);
        return reader.model("", model, inside, "model");
    }
    if !MODEL_CLASSES.contains(&class) || !module.is_none_or(code::is_keras) {
        return Err(at(Fault::Unsupported {
            what: format!("a model of the class `{class}`"),
            remedy: format!(
                "a class of your own may compute anything; if `{class}` only changes training, save \
                 `keras.Model(model.inputs, model.outputs)` in its place, or say so by `--map`"
            ),
        }));
    }
    reader.model("", class, inside, "model")
}

/// The entries of a map that were used, and for which layers.
type Mapped = RefCell<BTreeMap<Key, BTreeSet<String>>>;

/// An entry of a map, and those around it.
struct Within<'a> {
    key: &'a Key,
    around: Option<&'a Within<'a>>,
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    file: &'a Path,
    dialect: Dialect,
    map: Option<&'a LayerMap>,
    mapped: &'a Mapped,
    /// The entries whose layers are being read, innermost first.
    within: Option<&'a Within<'a>>,
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
        match self.entry(&path, value) {
            None => self.as_written(&path, name, class, config, value),
            Some((key, entry)) => {
                self.note(key, &path);
                self.mapped(&path, name, class, config, value, (key, entry))
            }
        }
    }

    /// A layer as the file has it.
    fn as_written(
        &self,
        path: &str,
        name: String,
        class: &str,
        config: &Value,
        value: &Value,
    ) -> Result<Layer, ImportError> {
        let mut is_refused = false;
        if let Err(fault) = code::refuse(value) {
            self.refuse(path, class, fault)?;
            is_refused = true;
        }
        let mut layer = without_config(name, class, value);
        if MODEL_CLASSES.contains(&class) && layer.module.as_deref().is_none_or(code::is_keras) {
            layer.inner = Inner::Network(Box::new(self.model(path, class, config, &layer.name)?));
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
            _ => return Err(self.error(path, class, unexpected("`config`", config, "an object"))),
        };
        layer.inner = self.wrapped(path, &mut map)?;
        match dialect::to_keras3(self.dialect, class, map) {
            Ok((class, config)) => (layer.class, layer.config) = (class, Config(config)),
            Err(fault) => self.refuse(path, class, fault)?,
        }
        Ok(layer)
    }

    /// What the map has for the layer at `path`. Keras' own layers are what they are.
    fn entry(&self, path: &str, value: &Value) -> Option<(&'_ Key, &'_ Entry)> {
        let map = self.map?;
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let layer = without_config(String::new(), text("class_name")?, value);
        let is_custom = layer.module.as_deref().is_some_and(|module| !code::is_keras(module));
        let is_model = MODEL_CLASSES.contains(&layer.class.as_str()) && !is_custom;
        if is_model || layer.class == "InputLayer" || layers::is_read(&layer) {
            return None;
        }
        let entry =
            map.of_layer(path).or_else(|| map.of_class([text("registered_name"), text("class_name")]));
        // What is made of itself would have no end.
        let mut around = std::iter::successors(self.within, |within| within.around);
        entry.filter(|(key, _)| !around.any(|within| within.key == *key))
    }

    /// Keeps in mind that an entry was used.
    fn note(&self, key: &Key, path: &str) {
        self.mapped.borrow_mut().entry(key.clone()).or_default().insert(path.to_owned());
    }

    fn notes(&self) -> Vec<String> {
        self.map.map(|map| map.notes(&self.mapped.borrow())).unwrap_or_default()
    }

    /// What stands in place of a layer.
    fn mapped(
        &self,
        path: &str,
        name: String,
        class: &str,
        config: &Value,
        value: &Value,
        (key, entry): (&Key, &Entry),
    ) -> Result<Layer, ImportError> {
        let mut entry_of_file = value.clone();
        let composition = match entry {
            Entry::Layer(known, settings) => {
                let mut config = config.clone();
                if let Value::Object(config) = &mut config {
                    config.extend(settings.clone());
                }
                for (key, value) in
                    [("class_name", known.as_str().into()), ("module", KERAS.into()), ("config", config)]
                {
                    entry_of_file[key] = value;
                }
                entry_of_file["registered_name"] = Value::Null;
                let config = &entry_of_file["config"];
                let mut layer = self.as_written(path, name, known, config, &entry_of_file)?;
                layer.mapped_class = Some(class.to_owned());
                return Ok(layer);
            }
            Entry::Composition(composition) => composition,
        };
        // Arguments that nothing is asked of may be code.
        entry_of_file["config"] = Value::Null;
        if let Err(fault) = code::refuse_arguments(&entry_of_file) {
            self.refuse(path, class, fault)?;
        }
        let mut layer = without_config(name, class, value);
        let empty = Map::new();
        let settings = config.as_object().unwrap_or(&empty);
        let read = |inside: &Value, is_of_file: bool| {
            let dialect = if is_of_file { self.dialect } else { Dialect::Keras3 };
            let within = Within { key, around: self.within };
            Reader { dialect, within: Some(&within), ..*self }.layer(path, inside, 0)
        };
        let located = |fault| self.error(path, class, fault);
        match composition.network(&layer.name, settings, located, read) {
            Ok(network) => {
                // Keras' Lambda hands no mask on, unless told to.
                let ends = || (class == "Lambda" && config["mask"].is_null()).then_some(Masks::End);
                let masks = composition.masks.or_else(ends);
                layer.inner = Inner::Mapped { network: Box::new(network), masks };
            }
            Err(error) => match self.refusals {
                Some(refusals) => refusals.borrow_mut().push(error),
                None => return Err(error),
            },
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

/// The module that Keras' own layers are said to be of.
const KERAS: &str = "keras.layers";

/// A layer of which only its names are read.
fn without_config(name: String, class: &str, value: &Value) -> Layer {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Layer {
        name,
        class: class.to_owned(),
        is_operation: false,
        mapped_class: None,
        module: text("module"),
        registered_name: text("registered_name"),
        config: Config::default(),
        inner: Inner::None,
        weights: Vec::new(),
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
