//! SavedModels of tf.keras 2.2 to 2.15, which hold the architecture as JSON beside the graphs.
//!
//! Versions up to 2.4 keep it with each object, later ones in `keras_metadata.pb`. Variables are those of
//! the objects `layer-0`, `layer-1`, … of the root.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::{Value, json};

use super::dialect::MODEL_CLASSES;
use super::h5::Read;
use super::json;
use super::saved::{Container, Dropped, Saved, Weights};
use crate::import::Fault;
use crate::import::saved_model::{Objects, ROOT, SavedModel};

/// Reads the model that Keras describes. `None` where it does not: a graph is all there is.
pub(super) fn model(file: &Path, saved: &SavedModel<'_>) -> Result<Option<Saved>, Fault> {
    let objects = Objects::of(saved)?;
    let described: HashMap<usize, &str> = saved
        .keras
        .nodes
        .iter()
        .filter_map(|node| Some((usize::try_from(node.node).ok()?, node.metadata.as_str())))
        .collect();
    let metadata = |node: usize| -> Option<&str> {
        let own = || {
            let object = objects.get(node)?.user_object.as_ref()?;
            object.identifier.starts_with("_tf_keras").then_some(object.metadata.as_str())
        };
        described.get(&node).copied().or_else(own).filter(|text| !text.is_empty())
    };
    let Some(text) = metadata(ROOT) else { return Ok(None) };
    let mut root = json::parse("the model's metadata", text.as_bytes())?;
    let config = match root.get("model_config") {
        Some(config) if config.get("class_name").is_some() => config.clone(),
        _ => json!({"class_name": root["class_name"].clone(), "config": root["config"].clone()}),
    };
    let is_model = config["class_name"].as_str().is_some_and(|class| MODEL_CLASSES.contains(&class));
    let has_layers = config["config"].get("layers").is_some() || config["config"].is_array();
    if !is_model || !has_layers {
        return Ok(None);
    }

    let mut read = Read::default();
    let mut groups = Vec::new();
    let mut used = HashSet::new();
    let is_layer = |name: &str| {
        name.strip_prefix("layer-").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut layers: Vec<(usize, usize)> = objects
        .children(ROOT)
        .filter(|(name, _)| is_layer(name))
        .filter_map(|(name, node)| Some((name["layer-".len()..].parse().ok()?, node)))
        .collect();
    layers.sort_unstable();
    for (_, layer) in layers {
        let Some(text) = metadata(layer) else { continue };
        let described = json::parse("a layer's metadata", text.as_bytes())?;
        let Some(name) = described.get("name").and_then(Value::as_str) else { continue };
        let mut weights = Vec::new();
        let listed = objects.child(layer, "variables").map(|list| objects.list(list));
        for variable in listed.unwrap_or_else(|| own_variables(&objects, layer)) {
            used.extend(objects.key(variable).map(str::to_owned));
            let name = objects.variable_name(variable).unwrap_or_default();
            weights.push(read.weight(format!("{name}:0"), objects.value(variable)?));
        }
        groups.push((name.to_owned(), weights));
    }

    let unused = saved.bundle.as_ref().map_or(0, |bundle| bundle.bytes_beside(&used));
    let mut dropped = vec![Dropped { name: "functions of the graph".into(), bytes: saved.function_bytes() }];
    dropped.push(Dropped { name: "variables of no layer, as the optimizer's".into(), bytes: unused });
    dropped.retain(|dropped| dropped.bytes > 0);
    let text = |key: &str| root.get(key).and_then(Value::as_str).map(str::to_owned);
    let keras_version = text("keras_version").map(|version| version.parse()).transpose()?;
    Ok(Some(Saved {
        file: file.to_owned(),
        container: Container::SavedModel,
        keras_version,
        backend: text("backend"),
        training_config: root.get_mut("training_config").map(Value::take).filter(|value| !value.is_null()),
        config,
        weights: Weights::new(groups),
        dropped,
        notes: read.into_notes(),
    }))
}

/// The variables that an object has as attributes, each once: what layers that learn from data have in place of a list.
fn own_variables(objects: &Objects<'_, '_>, node: usize) -> Vec<usize> {
    let mut found = Vec::new();
    for (_, child) in objects.children(node) {
        if objects.variable_name(child).is_some() && !found.contains(&child) {
            found.push(child);
        }
    }
    found
}
