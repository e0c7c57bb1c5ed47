//! All that is in a saved model and all that keeps it from being built.

use std::collections::HashSet;

use super::lower::{self, Options, Reached};
use super::network::{Inner, Layer};
use super::saved::Saved;
use super::{assign, graph, stored};
use crate::import::survey::{Surveyed, SurveyedLayer};
use crate::import::{Fault, ImportError};

impl Saved {
    /// Lists the layers, and goes on where one is refused.
    pub(in super::super) fn survey(&self, options: &Options, found: &mut Surveyed) {
        let in_file = |fault| ImportError::in_file(&self.file, fault);
        let dialect = match self.dialect() {
            Ok(dialect) => dialect,
            Err(fault) => return found.refusals.push(in_file(fault)),
        };
        let graph::Surveyed { network, refusals, notes } =
            graph::surveyed(&self.file, dialect, &self.config, options.map.as_deref());
        found.refusals.extend(refusals);
        found.notes.extend(notes);
        let mut network = match network {
            Ok(network) => network,
            Err(error) => return found.refusals.push(error),
        };
        let writer = stored::Writer { dialect, backend: self.backend.as_deref() };
        let assigned = assign::weights(&self.file, dialect, &mut network, &self.weights)
            .and_then(|()| stored::to_keras3(&self.file, writer, &mut network.layers));

        let refused: HashSet<String> = found.layers_refused().map(outermost).map(str::to_owned).collect();
        let refused = refused.iter().map(String::as_str).collect();
        let Reached { shapes, refusals, open } =
            lower::survey(&self.file, dialect, &network, options, &refused);
        // Without weights, each layer that has some would be refused for that, too.
        let is_of_weights = |error: &ImportError| matches!(*error.fault, Fault::Weights { .. });
        let counts = assigned.is_ok();
        found.refusals.extend(refusals.into_iter().filter(|error| counts || !is_of_weights(error)));
        if let Err(error) = assigned
            && found.refusals.is_empty()
        {
            found.refusals.push(error);
        }
        found.open.extend(open.iter().map(|fault| match fault.remedy() {
            Some(remedy) => format!("{fault}: {remedy}"),
            None => fault.to_string(),
        }));
        found.inputs.extend(network.inputs.iter().map(|input| (input.name.clone(), input.shape.clone())));
        self.list(&network.layers, "", counts, &mut |layer, path, parameters| {
            found.layers.push(SurveyedLayer {
                class: layer.class.clone(),
                shapes: shapes.get(&path).cloned().unwrap_or_default(),
                parameters,
                path,
            });
        });
        let outputs = network.outputs.iter();
        found.outputs.extend(outputs.map(|output| network.layer(output.layer).name.clone()));
    }

    /// Calls `found` for each layer with its path and the number of its parameters: by its own arrays, or by
    /// those under its name in the file.
    fn list(
        &self,
        layers: &[Layer],
        path: &str,
        are_assigned: bool,
        found: &mut impl FnMut(&Layer, String, Option<u64>),
    ) {
        for layer in layers {
            let of_file = || {
                let own = self.weights.group(&layer.name).filter(|_| path.is_empty())?;
                Some(own.iter().map(|weight| weight.array.len() as u64).sum())
            };
            let parameters = if are_assigned { Some(parameters(layer)) } else { of_file() };
            let path = if path.is_empty() { layer.name.clone() } else { format!("{path}/{}", layer.name) };
            found(layer, path.clone(), parameters);
            if let Inner::Network(network) = &layer.inner {
                self.list(&network.layers, &path, are_assigned, found);
            }
        }
    }
}

/// The layer of the outermost model in a path.
fn outermost(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// The number of values in the arrays of a layer and of all layers inside.
fn parameters(layer: &Layer) -> u64 {
    let own: u64 = layer.weights.iter().map(|weight| weight.array.len() as u64).sum();
    own + layer.inner.layers().iter().map(parameters).sum::<u64>()
}
