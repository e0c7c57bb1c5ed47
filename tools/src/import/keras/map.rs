//! What stands in place of layers whose code is not in the file: the file of `--map`.
//!
//! ```toml
//! [class.MyDense]               # a class, by its name or the one it is registered under
//! layer = "Dense"               # is computed as one of Keras' layers, with the arguments in the file
//! config = { activation = "relu" }
//!
//! [class."my_package>Residual"]
//! layers = [                    # or by several
//!     { name = "dense", layer = "Dense", config = { units = "$units" } },
//! ]
//! weights = ["scale"]           # and arrays of its own
//! expression = "x + scale * dense(x)"
//!
//! [layer.lambda_1]              # a layer, by its name
//! expression = "x / 127.5 - 1"
//! ```

mod composition;
mod expression;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::import::{Fault, ImportError};
pub(super) use composition::Composition;
use composition::Inside;
use expression::Function;

/// What stands in place of which layers.
#[derive(Clone, Debug)]
pub struct LayerMap {
    file: PathBuf,
    entries: BTreeMap<Key, Entry>,
}

/// Which layers an entry is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Those of a class, by its name or by the one that it is registered under.
    Class(String),
    /// The one of this name, that of a nested layer as `model/block/layer`.
    Layer(String),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, name) = match self {
            Key::Class(name) => ("class", name),
            Key::Layer(name) => ("layer", name),
        };
        let is_bare = name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-'));
        if is_bare { write!(f, "{kind}.{name}") } else { write!(f, "{kind}.\"{name}\"") }
    }
}

/// What stands in place of a layer.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A layer of Keras of this class, with these arguments besides those in the file.
    Layer(String, Map<String, Value>),
    /// Several layers and what is computed of them.
    Composition(Composition),
}

/// What becomes of a mask behind the layer, where one comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Masks {
    /// It is handed on.
    Pass,
    /// There is none.
    End,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    class: BTreeMap<String, WrittenEntry>,
    #[serde(default)]
    layer: BTreeMap<String, WrittenEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    layer: Option<String>,
    config: Option<Map<String, Value>>,
    layers: Option<Vec<Inside>>,
    weights: Option<Vec<String>>,
    inputs: Option<Vec<String>>,
    expression: Option<String>,
    masks: Option<Masks>,
}

impl LayerMap {
    /// Reads a map.
    ///
    /// # Errors
    /// When the file cannot be read or is no map.
    pub fn open(file: &Path) -> Result<Self, ImportError> {
        let text = fs::read_to_string(file).map_err(|error| ImportError::in_file(file, error.into()))?;
        Self::parse(file, &text).map_err(|fault| ImportError::in_file(file, fault))
    }

    fn parse(file: &Path, text: &str) -> Result<Self, Fault> {
        let written: Written = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            Fault::Map { place: format!("line {line}"), detail: error.message().trim().replace('\n', ", ") }
        })?;
        let classes = written.class.into_iter().map(|(name, entry)| (Key::Class(name), entry));
        let layers = written.layer.into_iter().map(|(name, entry)| (Key::Layer(name), entry));
        let mut entries = BTreeMap::new();
        for (key, entry) in classes.chain(layers) {
            let entry = entry.checked().map_err(|detail| Fault::Map { place: format!("`{key}`"), detail })?;
            entries.insert(key, entry);
        }
        Ok(Self { file: file.to_owned(), entries })
    }

    /// The entry for the layer at `path`.
    pub(super) fn of_layer(&self, path: &str) -> Option<(&Key, &Entry)> {
        self.entries.get_key_value(&Key::Layer(path.to_owned()))
    }

    /// The entry for a class, under one of its names: as it is registered (`package>Class`) or as it is.
    pub(super) fn of_class(&self, names: [Option<&str>; 2]) -> Option<(&Key, &Entry)> {
        let bare = |name: &&str| name.rsplit('>').next().unwrap_or_default().to_owned();
        let names: Vec<&str> = names.into_iter().flatten().collect();
        let mut all = names.iter().map(|name| (*name).to_owned()).chain(names.iter().map(bare));
        all.find_map(|name| self.entries.get_key_value(&Key::Class(name)))
    }

    /// What the user should know, where these entries were used, each for these layers.
    pub(super) fn notes(&self, used: &BTreeMap<Key, BTreeSet<String>>) -> Vec<String> {
        let file = self.file.file_name().unwrap_or_default().to_string_lossy();
        let note = |(key, entry): (&Key, &Entry)| {
            let Some(layers) = used.get(key) else {
                return format!("`{key}` of {file} is for no layer of this model that needs it");
            };
            let names: Vec<_> = layers.iter().map(|name| format!("`{name}`")).collect();
            let is = if names.len() == 1 { "layer" } else { "layers" };
            format!("{is} {}: computed as {} says, {entry}", names.join(", "), file)
        };
        self.entries.iter().map(note).collect()
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Entry::Layer(class, _) => write!(f, "as `{class}`"),
            Entry::Composition(composition) => composition.fmt(f),
        }
    }
}

impl WrittenEntry {
    /// # Errors
    /// What does not fit together.
    fn checked(self) -> Result<Entry, String> {
        if let Some(class) = self.layer {
            let others = [
                ("layers", self.layers.is_some()),
                ("weights", self.weights.is_some()),
                ("inputs", self.inputs.is_some()),
                ("expression", self.expression.is_some()),
                ("masks", self.masks.is_some()),
            ];
            return match others.into_iter().find(|(_, is_there)| *is_there) {
                None => Ok(Entry::Layer(class, self.config.unwrap_or_default())),
                Some((other, _)) => Err(format!("`{other}` has no meaning beside `layer`")),
            };
        }
        if self.config.is_some() {
            return Err("`config` has a meaning beside `layer` alone".into());
        }
        let expression = self.expression.as_deref().map(Function::parse).transpose();
        let expression = expression.map_err(|error| format!("`expression`, {error}"))?;
        let layers = self.layers.unwrap_or_default();
        if expression.is_none() && layers.is_empty() {
            return Err(
                "found nothing to compute, expected `layer`, `layers` or `expression` (`expression = \"x\"` \
                        is the identity)"
                    .into(),
            );
        }
        let weights = self.weights.unwrap_or_default();
        Composition::new(self.inputs, layers, weights, expression, self.masks).map(Entry::Composition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<LayerMap, String> {
        LayerMap::parse(Path::new("map.toml"), text).map_err(|fault| fault.to_string())
    }

    #[test]
    fn entries_are_found_by_class_and_by_layer() {
        let map = parsed(
            "[class.Swish]\nlayer = 'Activation'\nconfig = { activation = 'silu' }\n\
             [class.\"my>Scale\"]\nexpression = 'x * 2'\n\
             [layer.\"encoder/lambda\"]\nlayers = [{ layer = 'ReLU' }]",
        )
        .unwrap();
        let (key, entry) = map.of_class([None, Some("my>Swish")]).unwrap();
        assert_eq!(key.to_string(), "class.Swish");
        assert_eq!(entry.to_string(), "as `Activation`");
        let (key, entry) = map.of_class([Some("my>Scale"), Some("Scale")]).unwrap();
        assert_eq!(key.to_string(), "class.\"my>Scale\"");
        assert_eq!(entry.to_string(), "`x * 2`");
        assert!(map.of_layer("encoder/lambda").is_some());
        assert!(map.of_layer("lambda").is_none());
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for (text, expected) in [
            ("[class.A]", "`class.A`: found nothing to compute"),
            ("[class.A]\nlayer = 3", "line 2: invalid type: integer `3`"),
            ("[klass.A]", "line 1: unknown field `klass`"),
            ("[class.A]\n\nsize = 3", "line 3: unknown field `size`"),
            ("[class.A", "line 1: "),
            (
                "[class.A]\nlayer = 'B'\nexpression = 'x'",
                "`class.A`: `expression` has no meaning beside `layer`",
            ),
            (
                "[class.A]\nconfig = {}\nexpression = 'x'",
                "`class.A`: `config` has a meaning beside `layer` alone",
            ),
            ("[layer.a]\nexpression = 'x +'", "`layer.a`: `expression`, at character 4: found the end"),
            (
                "[layer.a]\nexpression = 'lambda a: a'\ninputs = ['b']",
                "`layer.a`: `inputs` and `lambda` name different inputs",
            ),
            ("[layer.a]\nexpression = 'x'\ninputs = []", "`layer.a`: `inputs` is empty"),
            ("[layer.a]\nexpression = 'x'\nweights = ['x']", "`layer.a`: `x` is the name of two things"),
            ("[layer.a]\nlayers = [{ layer = 'ReLU' }]\nweights = ['w']", "`layer.a`: `weights` without"),
            ("[layer.a]\nlayers = [{ config = {} }]", "line 2: "),
            ("[layer.a]\nlayers = ['ReLU']", "`layer.a`: `layers`: found `ReLU`, expected"),
            ("[layer.a]\nexpression = 'x'\nmasks = 'keep'", "line 3: unknown variant `keep`"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}\n{error}");
        }
    }
}
