//! Models in Python pickles.
//!
//! A pickle says which function is to make the model out of which data. The functions whose data are a
//! model in one of its other forms are known here by their names: those of Keras and of scikeras, and two
//! recipes that went from hand to hand before Keras models could be pickled. They are not called; what
//! they would read is read. A pickle that names anything else is refused.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value};

use super::code::is_keras;
use super::dialect::MODEL_CLASSES;
use super::h5::Read;
use super::network::Weight;
use super::saved::{Container, Saved, Weights, open_inside};
use crate::import::pickle::{Arrays, Called, Global, Id, Node, Pickle, bytes};
use crate::import::{Content, Fault, ImportError, Named};

/// What a name in a pickle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Bytes, text as bytes, plain containers.
    Plain,
    /// An array of NumPy.
    Array,
    /// Makes an object of a class: the first argument.
    NewObject,
    /// Looks up an attribute.
    Attribute,
    /// `io.BytesIO`
    File,
    /// A class of Keras' models.
    ModelClass,
    /// A function that reads a saved model from its first argument.
    Reader,
    /// The recipe `unpack(model, training_config, weights)`.
    Unpack,
    /// An estimator around a model, or what it keeps of its data.
    Estimator,
}

fn meaning(global: &Global<'_>) -> Option<Meaning> {
    let (module, name) = (global.module.as_ref(), global.name.as_ref());
    let root = module.split('.').next().unwrap_or_default();
    Some(match (root, name) {
        ("builtins" | "__builtin__", "getattr") => Meaning::Attribute,
        ("builtins" | "__builtin__", "object" | "bytes" | "bytearray" | "list" | "dict" | "set") => {
            Meaning::Plain
        }
        ("_codecs", "encode") | ("collections", "OrderedDict" | "defaultdict") => Meaning::Plain,
        ("copyreg" | "copy_reg", "_reconstructor" | "__newobj__") => Meaning::NewObject,
        ("_io" | "io", "BytesIO") => Meaning::File,
        ("numpy", "_reconstruct" | "_frombuffer" | "scalar" | "dtype" | "ndarray") => Meaning::Array,
        ("joblib", "NumpyArrayWrapper") => Meaning::Array,
        ("scikeras", "unpack_keras_model") => Meaning::Reader,
        ("scikeras" | "sklearn", name) if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
            Meaning::Estimator
        }
        (_, "deserialize_model_from_bytecode") if is_keras(module) => Meaning::Reader,
        (_, name) if is_keras(module) && MODEL_CLASSES.contains(&name) => Meaning::ModelClass,
        (_, "unpack") => Meaning::Unpack,
        _ => return None,
    })
}

/// Whether a call is one that makes data of data.
fn is_known(pickle: &Pickle<'_>, called: &Called<'_>) -> bool {
    let args = pickle.args(called);
    let first = args.first().copied();
    let is_class = |id: Id| {
        let meaning = pickle.global(id).and_then(meaning);
        matches!(meaning, Some(Meaning::ModelClass | Meaning::Estimator))
    };
    let Some(global) = pickle.global(called.callable) else {
        return unpickles(pickle, called.callable);
    };
    match meaning(global) {
        Some(Meaning::Attribute) => matches!(args, &[class, name]
            if is_class(class) && pickle.text(name) == Some(UNPICKLE)),
        Some(Meaning::NewObject) => first.is_some_and(is_class),
        Some(Meaning::Unpack) => matches!(args, &[config, _, weights]
            if pickle.entry(config, "class_name").is_some() && pickle.items(weights).is_some()),
        meaning => meaning.is_some(),
    }
}

/// The method of Keras 3's models.
const UNPICKLE: &str = "_unpickle_model";

fn unpickles(pickle: &Pickle<'_>, callable: Id) -> bool {
    pickle.called(callable).is_some_and(|of| {
        let is_getattr = pickle.global(of.callable).and_then(meaning) == Some(Meaning::Attribute);
        is_getattr && is_known(pickle, of)
    })
}

/// Reads a model.
pub(super) fn model(file: &Path, bytes: &[u8]) -> Result<Saved, ImportError> {
    let at = |fault| ImportError::in_file(file, fault);
    let pickle = read(bytes).map_err(at)?;
    let reader = Reader { file, pickle: &pickle, file_bytes: bytes.len() };
    let Some(found) = reader.model(pickle.root()) else {
        return Err(at(reader.no_model().map_err(at)?));
    };
    let mut saved = match found {
        Found::File(bytes) => {
            let content = Content::of(&bytes);
            match content {
                Content::Hdf5 | Content::Zip | Content::Tar => open_inside(file, bytes.into_owned())?,
                other => {
                    let fault = Fault::WrongContent {
                        found: format!("a pickle with {}", other.looks_like()),
                        expected: "a pickle with a model of Keras (.keras, .h5 or a SavedModel)",
                        remedy: "in Python, load it and save the model with `model.save(\"model.keras\")`",
                    };
                    return Err(at(fault));
                }
            }
        }
        Found::Parts { config, weights } => reader.parts(config, weights).map_err(at)?,
    };
    saved.notes.insert(
        0,
        "a pickle runs code wherever Python loads it (none was run here): keep the model as `model.keras`"
            .into(),
    );
    saved.container = Container::Pickle;
    Ok(saved)
}

/// Reads arrays of weights, for an architecture that came as text; what is left of the file's words.
pub(super) fn weights(bytes: &[u8]) -> Result<(Weights, Read), Fault> {
    let pickle = read(bytes)?;
    let mut read = Read::default();
    let mut reader = WeightReader { arrays: Arrays::new(&pickle, bytes.len()), read: &mut read };
    match reader.weights(&pickle, pickle.root())? {
        Some(weights) => Ok((weights, read)),
        None => Err(Fault::WrongContent {
            found: format!("a pickle with {}", pickle.describe(pickle.root())),
            expected: "a list of arrays as of `model.get_weights()`, or a dictionary of such lists by layer",
            remedy: "in Python, save the weights with `model.save_weights(\"model.weights.h5\")`",
        }),
    }
}

/// What Python would import and call, also where the pickle is refused or damaged.
pub(crate) fn names(bytes: &[u8]) -> Vec<Named> {
    Pickle::names(bytes, &is_known, &|global| meaning(global).is_some())
}

fn read(bytes: &[u8]) -> Result<Pickle<'_>, Fault> {
    Pickle::read(bytes, &is_known, &|global| meaning(global).is_some())
}

/// Where a model is.
enum Found<'p> {
    /// In bytes that are a file of their own.
    File(Cow<'p, [u8]>),
    /// In an architecture and a list of arrays.
    Parts { config: Id, weights: Id },
}

struct Reader<'p, 'b> {
    file: &'p Path,
    pickle: &'p Pickle<'b>,
    file_bytes: usize,
}

impl<'p> Reader<'p, '_> {
    /// The model that a value is, or that a container or an estimator has one of.
    fn model(&self, id: Id) -> Option<Found<'p>> {
        let inside: Vec<Id> = match self.pickle.node(id) {
            Node::Tuple(items) | Node::List(items) => items.clone(),
            Node::Dict(_) => match self.recipe(id) {
                Some(found) => return Some(found),
                None => self.pickle.entries(id)?.map(|(_, value)| value).collect(),
            },
            Node::Called(called) => return self.object(called),
            _ => return None,
        };
        let mut models = inside.into_iter().filter_map(|id| self.object(self.pickle.called(id)?));
        // Of two models the pickle does not say which is meant.
        models.next().filter(|_| models.next().is_none())
    }

    fn object(&self, called: &Called<'_>) -> Option<Found<'p>> {
        let pickle = self.pickle;
        let args = pickle.args(called);
        if unpickles(pickle, called.callable) {
            return self.content(*args.first()?).map(Found::File);
        }
        match meaning(pickle.global(called.callable)?)? {
            Meaning::Reader => self.content(*args.first()?).map(Found::File),
            Meaning::Unpack => match *args {
                [config, _, weights] => Some(Found::Parts { config, weights }),
                _ => None,
            },
            Meaning::ModelClass => self.recipe(called.state?),
            Meaning::NewObject | Meaning::Estimator => {
                let state = called.state?;
                self.recipe(state).or_else(|| {
                    let model = pickle.entry(state, "model_").or_else(|| pickle.entry(state, "model"))?;
                    let inside = pickle.called(model)?;
                    // An estimator's model is none of its own kind.
                    let is_estimator =
                        pickle.global(inside.callable).and_then(meaning) == Some(Meaning::Estimator);
                    if is_estimator { None } else { self.plain_object(inside) }
                })
            }
            _ => None,
        }
    }

    /// A model that is not in an estimator.
    fn plain_object(&self, called: &Called<'_>) -> Option<Found<'p>> {
        let is_new = self.pickle.global(called.callable).and_then(meaning) == Some(Meaning::NewObject);
        if is_new { self.recipe(called.state?) } else { self.object(called) }
    }

    /// `{'model_str': …}`, an HDF5 file.
    fn recipe(&self, state: Id) -> Option<Found<'p>> {
        self.content(self.pickle.entry(state, "model_str")?).map(Found::File)
    }

    /// Bytes, those in an `io.BytesIO`, or those in an array.
    fn content(&self, id: Id) -> Option<Cow<'p, [u8]>> {
        let pickle = self.pickle;
        if let Some(called) = pickle.called(id)
            && pickle.global(called.callable).and_then(meaning) == Some(Meaning::File)
        {
            let inside = match called.state {
                // Content, position, attributes.
                Some(state) => pickle.tuple(state)?.first(),
                None => pickle.args(called).first(),
            };
            return bytes(pickle, *inside?);
        }
        let arrays = Arrays::new(pickle, self.file_bytes);
        bytes(pickle, id).or_else(|| arrays.bytes(id))
    }

    fn parts(&self, config: Id, weights: Id) -> Result<Saved, Fault> {
        let mut budget = MAX_CONFIG_NODES;
        let config =
            json(self.pickle, config, MAX_CONFIG_DEPTH, &mut budget).ok_or_else(|| Fault::Unexpected {
                place: "the architecture in the pickle".into(),
                found: self.pickle.describe(config),
                expected: "dictionaries, lists, texts and numbers".into(),
            })?;
        let mut read = Read::default();
        let arrays = Arrays::new(self.pickle, self.file_bytes);
        let weights = WeightReader { arrays, read: &mut read }.weights(self.pickle, weights)?;
        let weights = weights.ok_or_else(|| Fault::Weights {
            found: "something else in the pickle".into(),
            expected: "a list of arrays".into(),
        })?;
        Ok(Saved {
            file: self.file.to_owned(),
            container: Container::Pickle,
            keras_version: None,
            backend: None,
            config,
            training_config: None,
            weights,
            dropped: Vec::new(),
            notes: read.into_notes(),
        })
    }

    /// What a pickle is that holds no model.
    fn no_model(&self) -> Result<Fault, Fault> {
        let root = self.pickle.root();
        let mut read = Read::default();
        let arrays = Arrays::new(self.pickle, self.file_bytes);
        let weights = WeightReader { arrays, read: &mut read }.weights(self.pickle, root)?;
        let (found, remedy) = match weights {
            Some(weights) => {
                let count: usize = weights.groups().iter().map(|(_, weights)| weights.len()).sum();
                (
                    format!("a pickle with {count} arrays of weights and no architecture"),
                    "pass the architecture, too: `--architecture model.json`, which is what `model.to_json()` gives",
                )
            }
            None => (
                format!("a pickle with {}", self.pickle.describe(root)),
                "in Python, load it and save the model with `model.save(\"model.keras\")`",
            ),
        };
        Ok(Fault::WrongContent { found, expected: "a pickled model of Keras", remedy })
    }
}

struct WeightReader<'p, 'b, 'r> {
    arrays: Arrays<'p, 'b>,
    read: &'r mut Read,
}

impl WeightReader<'_, '_, '_> {
    /// A list of arrays, or a dictionary: of such lists by layer, or of arrays by name, as `dense/kernel`.
    fn weights(&mut self, pickle: &Pickle<'_>, id: Id) -> Result<Option<Weights>, Fault> {
        if let Some(items) = pickle.items(id) {
            let weights = self.list("", items)?;
            return Ok(weights.filter(|weights| !weights.is_empty()).map(Weights::in_order));
        }
        let Some(entries) = pickle.entries(id) else { return Ok(None) };
        let mut groups: Vec<(String, Vec<Weight>)> = Vec::new();
        for (key, value) in entries {
            let Some(key) = pickle.text(key) else { return Ok(None) };
            let layer = match self.arrays.read(value)? {
                Some(numbers) => {
                    let layer = key.rsplit_once('/').map_or(key, |(layer, _)| layer);
                    (layer.to_owned(), vec![self.read.weight(key.to_owned(), numbers)])
                }
                None => {
                    let Some(items) = pickle.items(value) else { return Ok(None) };
                    let Some(weights) = self.list(key, items)? else { return Ok(None) };
                    (key.to_owned(), weights)
                }
            };
            match groups.iter_mut().find(|(name, _)| *name == layer.0) {
                Some((_, weights)) => weights.extend(layer.1),
                None => groups.push(layer),
            }
        }
        Ok((!groups.is_empty()).then(|| Weights::new(groups)))
    }

    fn list(&mut self, layer: &str, items: &[Id]) -> Result<Option<Vec<Weight>>, Fault> {
        let mut weights = Vec::new();
        for (at, &item) in items.iter().enumerate() {
            let Some(numbers) = self.arrays.read(item)? else { return Ok(None) };
            let name = if layer.is_empty() { at.to_string() } else { format!("{layer}/{at}") };
            weights.push(self.read.weight(name, numbers));
        }
        Ok(Some(weights))
    }
}

/// As deep as JSON text may be.
const MAX_CONFIG_DEPTH: usize = 127;

/// Values of an architecture: a thousand layers have some fifty each.
const MAX_CONFIG_NODES: usize = 1 << 20;

/// Plain values as JSON. `None` where one is of another kind, or they are too many or too deep.
fn json(pickle: &Pickle<'_>, id: Id, depth: usize, budget: &mut usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    *budget = budget.checked_sub(1)?;
    Some(match pickle.node(id) {
        Node::None => Value::Null,
        Node::Bool(value) => (*value).into(),
        Node::Int(value) => (*value).into(),
        // JSON has neither NaN nor infinity; they are read as their names.
        Node::Float(value) if value.is_nan() => "NaN".into(),
        Node::Float(value) if value.is_infinite() => {
            if *value > 0.0 {
                "Infinity".into()
            } else {
                "-Infinity".into()
            }
        }
        Node::Float(value) => (*value).into(),
        Node::Text(text) => text.as_ref().into(),
        Node::Tuple(items) | Node::List(items) => {
            let items = items.iter().map(|&item| json(pickle, item, depth, budget));
            Value::Array(items.collect::<Option<_>>()?)
        }
        Node::Dict(_) | Node::Called(_) => {
            let mut map = Map::new();
            for (key, value) in pickle.entries(id)? {
                map.insert(pickle.text(key)?.to_owned(), json(pickle, value, depth, budget)?);
            }
            Value::Object(map)
        }
        _ => return None,
    })
}
