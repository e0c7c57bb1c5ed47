//! Each layer gets the variables in its place.
//!
//! A model's layers are in a container, where each is called by its class, and by a number from the
//! second of a class on: `layers/dense`, `layers/dense_1`. A layer inside of another one is in an
//! attribute: `forward_layer`, `layer`, `cell`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::path::Path;

use super::super::network::{Inner, Layer, Network, Weight};
use super::super::saved::Weights;
use super::super::snake_case::snake_case;
use super::super::variables::CONTAINERS;
use super::super::version::Dialect;
use super::count;
use crate::import::{Fault, ImportError};

/// Fills in [`Layer::weights`] everywhere in `network`.
pub(super) fn weights(
    file: &Path,
    dialect: Dialect,
    network: &mut Network,
    weights: &Weights,
) -> Result<(), ImportError> {
    let groups = weights.groups().iter().map(|(place, weights)| (place.as_str(), weights.as_slice()));
    let mut places = Places { file, dialect, groups: groups.collect(), used: HashSet::new() };
    places.model("", &mut network.layers)?;
    match places.groups.keys().find(|place| !places.used.contains(*place)) {
        None => Ok(()),
        Some(place) => {
            let found = format!("variables in `{place}`, where the architecture has no layer");
            Err(ImportError::in_file(file, Fault::Weights { found, expected: "a layer for each".into() }))
        }
    }
}

struct Places<'a> {
    file: &'a Path,
    dialect: Dialect,
    groups: BTreeMap<&'a str, &'a [Weight]>,
    used: HashSet<&'a str>,
}

impl<'a> Places<'a> {
    /// The layers of the model at `place`.
    fn model(&mut self, place: &str, layers: &mut [Layer]) -> Result<(), ImportError> {
        let [container, oldest] = CONTAINERS.map(|name| join(place, name));
        if self.below(&container).is_empty() && !self.below(&oldest).is_empty() {
            let names = self.names_by_rank(&oldest, layers)?;
            return self.each(&oldest, layers, names);
        }
        self.each(&container, layers, names_by_class(layers))
    }

    /// Layers whose names in `container` are these.
    fn each(&mut self, container: &str, layers: &mut [Layer], names: Vec<String>) -> Result<(), ImportError> {
        layers.iter_mut().zip(names).try_for_each(|(layer, name)| self.layer(&join(container, &name), layer))
    }

    fn layer(&mut self, place: &str, layer: &mut Layer) -> Result<(), ImportError> {
        if layer.is_operation {
            return Ok(());
        }
        let class = layer.class.clone();
        match &mut layer.inner {
            Inner::None | Inner::Weight => return self.leaf(place, layer),
            Inner::Network(network) => self.model(place, &mut network.layers)?,
            Inner::Mapped { network, .. } => self.mapped(place, &class, &mut network.layers)?,
            Inner::Layers(layers) => {
                // What a wrapper has itself serves training, or is that of its layer once more.
                self.take(place);
                let (within, names) = match class.as_str() {
                    "StackedRNNCells" => (join(place, "cells"), names_by_class(layers)),
                    "Bidirectional" => {
                        (place.to_owned(), vec!["forward_layer".into(), "backward_layer".into()])
                    }
                    "RNN" => (place.to_owned(), vec!["cell".into()]),
                    _ => (place.to_owned(), vec!["layer".into()]),
                };
                self.each(&within, layers, names)?;
            }
        }
        Ok(())
    }

    /// What a map has in place of the layer at `place`: arrays of the layer itself, and layers in its attributes.
    fn mapped(&mut self, place: &str, class: &str, layers: &mut [Layer]) -> Result<(), ImportError> {
        let (own, inside): (Vec<_>, Vec<_>) =
            layers.iter_mut().partition(|layer| matches!(layer.inner, Inner::Weight));
        let arrays = self.take(place);
        if arrays.len() != own.len() {
            let found = format!("{} variables in `{place}`", arrays.len());
            let expected = format!("{}, as `weights` of the map names", own.len());
            let name = place.rsplit('/').next().unwrap_or(place);
            return Err(ImportError::in_layer(self.file, name, class, Fault::Weights { found, expected }));
        }
        for (layer, array) in own.into_iter().zip(arrays) {
            layer.weights = vec![array.clone()];
        }
        for layer in inside {
            let attribute = join(place, &layer.name);
            self.layer(&attribute, layer)?;
        }
        Ok(())
    }

    /// A layer without layers of a model's own: its variables and those of its parts, such as the cell of
    /// a recurrent layer, in the order of Keras' `layer.weights`.
    fn leaf(&mut self, place: &str, layer: &mut Layer) -> Result<(), ImportError> {
        const PARTS: [&str; 5] = ["query_dense", "key_dense", "gate_dense", "value_dense", "output_dense"];
        let mut parts = self.below(place);
        let rank = |part: &&str| {
            let name = part.rsplit('/').next().unwrap_or_default().trim_start_matches('_');
            PARTS.iter().position(|known| *known == name)
        };
        parts.sort_by_key(rank);
        layer.weights = self.take(place).to_vec();
        for part in parts {
            layer.weights.extend_from_slice(self.take(part));
        }
        let expected = count(layer, self.dialect).map_err(|fault| self.error(layer, fault))?;
        if layer.weights.is_empty() && expected > 0 {
            let found = format!("no variables in `{place}`");
            let fault = Fault::Weights { found, expected: format!("{expected} variables") };
            return Err(self.error(layer, fault));
        }
        Ok(())
    }

    /// The variables at `place`.
    fn take(&mut self, place: &str) -> &'a [Weight] {
        match self.groups.get_key_value(place) {
            Some((place, weights)) => {
                self.used.insert(place);
                weights
            }
            None => &[],
        }
    }

    /// Places below `place` that have variables.
    fn below(&self, place: &str) -> Vec<&'a str> {
        let first = format!("{place}/");
        let after = self.groups.range::<str, _>((Bound::Excluded(first.as_str()), Bound::Unbounded));
        after.map(|(place, _)| *place).take_while(|place| place.starts_with(&first)).collect()
    }

    /// Keras 2.13 counts a layer with variables twice, others once, and 2.14 all once: what holds for
    /// both is that layers with variables are in order.
    fn names_by_rank(&self, container: &str, layers: &[Layer]) -> Result<Vec<String>, ImportError> {
        let mut found: BTreeMap<(String, usize), String> = BTreeMap::new();
        for place in self.below(container) {
            let name = place[container.len() + 1..].split('/').next().unwrap_or_default();
            let numbered =
                name.rsplit_once('_').and_then(|(class, number)| Some((class, number.parse().ok()?)));
            let (class, number) = numbered.unwrap_or((name, 0));
            found.insert((class.to_owned(), number), name.to_owned());
        }
        let mut names = names_by_class(layers);
        for (name, layer) in names.iter_mut().zip(layers) {
            if count(layer, self.dialect).map_err(|fault| self.error(layer, fault))? == 0 {
                continue;
            }
            let class = snake_case(python_class(layer));
            let first = found.range((class.clone(), 0)..).next().map(|(key, _)| key.clone());
            if let Some(key) = first.filter(|(of, _)| *of == class) {
                *name = found.remove(&key).unwrap_or_default();
            }
        }
        Ok(names)
    }

    fn error(&self, layer: &Layer, fault: Fault) -> ImportError {
        ImportError::in_layer(self.file, &layer.name, &layer.class, fault)
    }
}

/// What Keras calls layers in a container. Operations are none.
fn names_by_class(layers: &[Layer]) -> Vec<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let name = |layer: &Layer| {
        if layer.is_operation {
            return String::new();
        }
        let class = snake_case(python_class(layer));
        let count = counts.entry(class.clone()).or_default();
        *count += 1;
        if *count == 1 { class } else { format!("{class}_{}", *count - 1) }
    };
    layers.iter().map(name).collect()
}

/// What the class is called in its source: Keras exports one under another name.
fn python_class(layer: &Layer) -> &str {
    match layer.mapped_class.as_deref().unwrap_or(&layer.class) {
        "GroupQueryAttention" => "GroupedQueryAttention",
        // As it may be registered, behind the name of its package.
        class => class.rsplit('>').next().unwrap_or(class),
    }
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") }
}
