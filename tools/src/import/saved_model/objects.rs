//! Objects with named children, and where in the checkpoint their variables are.

use std::collections::HashMap;

use super::proto::{CheckpointObjects, SavedObject};
use super::{SavedModel, damage};
use crate::import::Fault;
use crate::import::numbers::Numbers;

/// The objects of a SavedModel.
pub(crate) struct Objects<'s, 'f> {
    saved: &'s SavedModel<'f>,
    nodes: &'s [SavedObject],
    checkpoint: CheckpointObjects,
    /// Of objects, their numbers among those of the checkpoint.
    in_checkpoint: HashMap<usize, usize>,
}

/// The root object.
pub(crate) const ROOT: usize = 0;

impl<'s, 'f> Objects<'s, 'f> {
    /// The objects are numbered in the SavedModel and in its checkpoint; those of the same path from the root
    /// are the same.
    pub(crate) fn of(saved: &'s SavedModel<'f>) -> Result<Self, Fault> {
        let nodes = saved.meta_graph.objects.as_ref().map_or(&[][..], |graph| &graph.nodes);
        let checkpoint = match &saved.bundle {
            Some(bundle) => bundle.objects()?,
            None => CheckpointObjects::default(),
        };
        let mut found = HashMap::from([(ROOT, ROOT)]);
        let mut waiting = vec![(ROOT, ROOT)];
        while let Some((node, stored)) = waiting.pop() {
            let (Some(object), Some(twin)) = (nodes.get(node), checkpoint.nodes.get(stored)) else {
                continue;
            };
            let twins: HashMap<&str, i32> =
                twin.children.iter().map(|child| (child.name.as_str(), child.node)).collect();
            for child in &object.children {
                let pair = (usize::try_from(child.node), twins.get(child.name.as_str()));
                let (Ok(node), Some(&stored)) = pair else { continue };
                let Ok(stored) = usize::try_from(stored) else { continue };
                if let std::collections::hash_map::Entry::Vacant(place) = found.entry(node) {
                    place.insert(stored);
                    waiting.push((node, stored));
                }
            }
        }
        Ok(Self { saved, nodes, checkpoint, in_checkpoint: found })
    }

    pub(crate) fn get(&self, node: usize) -> Option<&'s SavedObject> {
        self.nodes.get(node)
    }

    /// The child called `name`.
    pub(crate) fn child(&self, node: usize, name: &str) -> Option<usize> {
        self.children(node).find(|(found, _)| *found == name).map(|(_, child)| child)
    }

    /// All children with their names.
    pub(crate) fn children(&self, node: usize) -> impl Iterator<Item = (&'s str, usize)> {
        let children = self.nodes.get(node).map(|object| object.children.as_slice()).unwrap_or_default();
        children.iter().filter_map(|child| Some((child.name.as_str(), usize::try_from(child.node).ok()?)))
    }

    /// The numbers of a list, in its order.
    pub(crate) fn list(&self, node: usize) -> Vec<usize> {
        let mut items: Vec<(usize, usize)> =
            self.children(node).filter_map(|(name, child)| Some((name.parse().ok()?, child))).collect();
        items.sort_unstable();
        items.into_iter().map(|(_, child)| child).collect()
    }

    /// The name of a variable.
    pub(crate) fn variable_name(&self, node: usize) -> Option<&'s str> {
        Some(self.nodes.get(node)?.variable.as_ref()?.name.as_str())
    }

    /// Where in the checkpoint a variable's value is.
    pub(crate) fn key(&self, node: usize) -> Option<&str> {
        let twin = self.checkpoint.nodes.get(*self.in_checkpoint.get(&node)?)?;
        let value = twin.tensors.iter().find(|tensor| tensor.name == "VARIABLE_VALUE")?;
        Some(&value.key)
    }

    /// The value of a variable.
    pub(crate) fn value(&self, node: usize) -> Result<Numbers, Fault> {
        let name = self.variable_name(node).unwrap_or_default();
        let (Some(key), Some(bundle)) = (self.key(node), &self.saved.bundle) else {
            return Err(damage(format!("the variable `{name}` is not in the checkpoint")));
        };
        let numbers = bundle.numbers(key)?;
        numbers.ok_or_else(|| damage(format!("the variable `{name}` is not in the checkpoint (`{key}`)")))
    }
}
