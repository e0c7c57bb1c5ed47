//! Lowering as far as it goes: past layers that are refused.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::inputs::input_shape;
use super::{Lowering, Options};
use crate::graph::TensorId;
use crate::import::keras::layers;
use crate::import::keras::network::{Network, TensorRef};
use crate::import::keras::version::Dialect;
use crate::import::{Fault, ImportError};

/// What came of it.
#[derive(Debug, Default)]
pub(in super::super) struct Reached {
    /// Shapes of the results of layers, by path: those of the last call.
    pub(in super::super) shapes: HashMap<String, Vec<Vec<u32>>>,
    /// Why layers were refused, and whatever else was wrong.
    pub(in super::super) refusals: Vec<ImportError>,
    /// What the file leaves open.
    pub(in super::super) open: Vec<Fault>,
}

/// Lowers each layer of a network that can be, but those called `refused`. Behind a layer that cannot be, only
/// the classes of layers are judged.
pub(in super::super) fn survey(
    file: &Path,
    dialect: Dialect,
    network: &Network,
    options: &Options,
    refused: &HashSet<&str>,
) -> Reached {
    let mut reached = Reached::default();
    let mut lowering = Lowering::new(&network.name, dialect);
    let mut known: HashMap<TensorRef, (TensorId, Option<TensorId>)> = HashMap::new();
    for input in &network.inputs {
        match input_shape(input, options) {
            Ok(shape) => {
                let id = lowering.graph.add_input(&input.name, shape);
                reached.shapes.insert(input.name.clone(), vec![lowering.dims(id)]);
                known.insert(input.tensor, (id, None));
            }
            Err(fault) => reached.open.push(fault),
        }
    }
    for call in &network.calls {
        let layer = network.layer(call.layer);
        let inputs = call.tensors();
        let is_reached = inputs.iter().all(|tensor| known.contains_key(tensor));
        if refused.contains(layer.name.as_str()) {
            continue;
        }
        let by_class = || layers::refused(file, "", std::slice::from_ref(layer));
        if !is_reached {
            reached.refusals.extend(by_class());
            continue;
        }
        let bound = inputs.iter().filter_map(|tensor| Some((*tensor, *known.get(tensor)?)));
        lowering.values = bound.clone().map(|(tensor, (id, _))| (tensor, id)).collect();
        lowering.masks = bound.filter_map(|(tensor, (_, mask))| Some((tensor, mask?))).collect();
        match lowering.call(layer, call) {
            Ok(results) => {
                let dims = results.iter().map(|(id, _)| lowering.dims(*id)).collect();
                reached.shapes.insert(layer.name.clone(), dims);
                for (tensor, result) in results.into_iter().enumerate() {
                    known.insert(TensorRef { layer: call.layer, node: call.node, tensor }, result);
                }
            }
            Err(fault) => {
                reached.refusals.push(lowering.locate(file, fault));
                reached.refusals.extend(by_class());
                lowering.path.clear();
            }
        }
    }
    for node in &lowering.graph.nodes {
        if !reached.shapes.contains_key(&node.layer) || node.layer.contains('/') {
            reached.shapes.insert(node.layer.clone(), vec![lowering.graph.dims(node.output).to_vec()]);
        }
    }
    reached
}
