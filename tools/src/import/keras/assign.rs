//! Each layer gets its own arrays.
//!
//! A file lists arrays by the layers of the outermost model. Where such a layer holds layers itself
//! (a nested model, a wrapper), its list is flat: first what gradients train, layer by layer, then
//! all the rest, so that the moving averages of a nested batch normalization are far from its gamma.
//! The arrays' names (`block/conv/kernel:0`, `conv_W`) say whose they are, unless a layer was renamed
//! after it was made; then the order decides, as it does in Keras.
//!
//! A `.keras` archive lists variables by their [places] instead.

mod places;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::network::{Inner, Layer, Network, Weight};
use super::saved::{Keys, Weights};
use super::version::Dialect;
use super::weight_counts::{WeightCounts, shapes_fit};
use crate::import::{Fault, ImportError};

/// Fills in [`Layer::weights`] everywhere in `network`.
pub(super) fn weights(
    file: &Path,
    dialect: Dialect,
    network: &mut Network,
    weights: &Weights,
) -> Result<(), ImportError> {
    let assigner = Assigner { file, dialect };
    let groups = weights.groups();
    match weights.keys() {
        Keys::Places => return places::weights(file, dialect, network, weights),
        Keys::None => return assigner.one_by_one(network, groups.iter().flat_map(|(_, weights)| weights)),
        Keys::Names => {}
    }
    let positions: HashMap<&str, usize> =
        groups.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect();
    let named: Vec<Option<usize>> =
        network.layers.iter().map(|layer| positions.get(layer.name.as_str()).copied()).collect();

    let mut used = vec![false; groups.len()];
    named.iter().flatten().for_each(|at| used[*at] = true);
    let mut all_named = groups.iter().zip(used).all(|((_, weights), used)| used || weights.is_empty());
    for (layer, at) in network.layers.iter().zip(&named) {
        all_named &= at.is_some() || assigner.count(layer)? == 0;
    }
    if !all_named {
        return assigner.by_order(network, groups);
    }
    for (layer, at) in network.layers.iter_mut().zip(named) {
        if let Some(at) = at {
            assigner.give(layer, &groups[at].1)?;
        }
    }
    Ok(())
}

struct Assigner<'f> {
    file: &'f Path,
    dialect: Dialect,
}

impl Assigner<'_> {
    /// Weights of another instance of the same architecture have other layer names in the same
    /// order. Some names may be the same and yet mean other layers (`dense_1`, `dense_2` against
    /// `dense_2`, `dense_3`), so none of them counts.
    fn by_order(&self, network: &mut Network, groups: &[(String, Vec<Weight>)]) -> Result<(), ImportError> {
        let mut layers = Vec::new();
        for layer in &mut network.layers {
            let count = self.count(layer)?;
            if count > 0 {
                layers.push((layer, count));
            }
        }
        let groups: Vec<_> = groups.iter().filter(|(_, weights)| !weights.is_empty()).collect();
        if layers.len() != groups.len() {
            return Err(ImportError::in_file(
                self.file,
                Fault::Weights {
                    found: format!(
                        "weights of {} layers{}",
                        groups.len(),
                        sample(groups.iter().map(|(name, _)| name))
                    ),
                    expected: format!(
                        "weights of {} layers{}",
                        layers.len(),
                        sample(layers.iter().map(|(layer, _)| &layer.name))
                    ),
                },
            ));
        }
        for ((layer, count), (group, weights)) in layers.into_iter().zip(groups) {
            if count != weights.len() {
                let fault = Fault::Weights {
                    found: format!(
                        "{} arrays in group `{group}`, which has its place in order",
                        weights.len()
                    ),
                    expected: format!("{count} arrays"),
                };
                return Err(self.error(layer, fault));
            }
            self.give(layer, weights)?;
        }
        Ok(())
    }

    /// All arrays of a layer, then those of the next, nested layers in their places.
    fn one_by_one<'w>(
        &self,
        network: &mut Network,
        weights: impl Iterator<Item = &'w Weight>,
    ) -> Result<(), ImportError> {
        let (mut next, mut vectors) = (0, HashSet::new());
        spectral_vectors(&network.layers, self.dialect, &mut next, &mut vectors)
            .map_err(|fault| ImportError::in_file(self.file, fault))?;
        let weights = weights.enumerate().filter(|(at, _)| !vectors.contains(at));
        let weights: Vec<&Weight> = weights.map(|(_, weight)| weight).collect();
        let mut leaves = Vec::new();
        for layer in &mut network.layers {
            collect_leaves(layer, &mut Vec::new(), &mut leaves);
        }
        let mut expected = 0;
        for Leaf { layer, .. } in leaves {
            let count = self.count(layer)?;
            let own = weights.iter().skip(expected).take(count);
            expected += count;
            layer.weights = own.map(|weight| (*weight).clone()).collect();
            if layer.weights.len() == count
                && !shapes_fit(layer, self.dialect, layer.weights.iter().map(|weight| &*weight.array))
            {
                let shapes: Vec<_> = layer.weights.iter().map(|weight| &weight.array.shape).collect();
                let fault = Fault::Weights {
                    found: format!("arrays of the shapes {shapes:?} from number {} on", expected - count),
                    expected: "those of this layer: arrays are in the order of `model.get_weights()`".into(),
                };
                return Err(self.error(layer, fault));
            }
        }
        if expected == weights.len() {
            return Ok(());
        }
        let fault = Fault::Weights {
            found: format!("{} arrays", weights.len()),
            expected: format!("{expected} arrays, as of `model.get_weights()`"),
        };
        Err(ImportError::in_file(self.file, fault))
    }

    fn count(&self, layer: &Layer) -> Result<usize, ImportError> {
        count(layer, self.dialect).map_err(|fault| self.error(layer, fault))
    }

    /// Hands `weights` to `layer` or to the layers inside it.
    fn give(&self, layer: &mut Layer, weights: &[Weight]) -> Result<(), ImportError> {
        if layer.inner.is_leaf() {
            let expected = self.count(layer)?;
            if weights.is_empty() && expected > 0 {
                let fault =
                    Fault::Weights { found: "no arrays".into(), expected: format!("{expected} arrays") };
                return Err(self.error(layer, fault));
            }
            layer.weights = weights.to_vec();
            return Ok(());
        }
        let (name, class) = (layer.name.clone(), layer.class.clone());
        let weights = without_spectral_vectors(layer, weights);
        let weights = weights.as_ref();
        let mut leaves = Vec::new();
        collect_leaves(layer, &mut Vec::new(), &mut leaves);
        let owners = owners(&leaves, self.dialect, weights)
            .map_err(|fault| ImportError::in_layer(self.file, name, class, fault))?;
        for (owner, weight) in owners.into_iter().zip(weights) {
            leaves[owner].layer.weights.push(weight.clone());
        }
        Ok(())
    }

    fn error(&self, layer: &Layer, fault: Fault) -> ImportError {
        ImportError::in_layer(self.file, &layer.name, &layer.class, fault)
    }
}

/// The number of arrays of a layer and all layers inside.
fn count(layer: &Layer, dialect: Dialect) -> Result<usize, Fault> {
    match layer.inner {
        Inner::None | Inner::Weight => Ok(WeightCounts::of(layer, dialect)?.sum()),
        _ => {
            let inside = layer.inner.layers().iter().map(|layer| count(layer, dialect));
            Ok(inside.sum::<Result<usize, Fault>>()? + usize::from(layer.class == SPECTRAL))
        }
    }
}

/// The wrapper that has an array of its own, `vector_u`, which only training needs.
const SPECTRAL: &str = "SpectralNormalization";

/// The arrays of the layers inside `layer`.
fn without_spectral_vectors<'a>(layer: &Layer, weights: &'a [Weight]) -> Cow<'a, [Weight]> {
    fn any(layer: &Layer) -> bool {
        layer.class == SPECTRAL || layer.inner.layers().iter().any(any)
    }
    if !any(layer) {
        return weights.into();
    }
    let is_vector =
        |weight: &&Weight| weight.name.rsplit('/').next().is_some_and(|name| name.starts_with("vector_u"));
    weights.iter().filter(|weight| !is_vector(weight)).cloned().collect()
}

/// Which of all arrays, layer after layer from number `next` on, are such vectors: in Keras 3 the one behind the first
/// array of the layer inside, before that the one behind its last.
fn spectral_vectors(
    layers: &[Layer],
    dialect: Dialect,
    next: &mut usize,
    found: &mut HashSet<usize>,
) -> Result<(), Fault> {
    for layer in layers {
        let first = *next;
        if layer.inner.is_leaf() {
            *next += count(layer, dialect)?;
        }
        spectral_vectors(layer.inner.layers(), dialect, next, found)?;
        if layer.class == SPECTRAL {
            found.insert(if dialect == Dialect::Keras3 { first + 1 } else { *next });
            *next += 1;
        }
    }
    Ok(())
}

/// A layer that holds no layers, and the names from the outermost layer of the list down to it.
struct Leaf<'a> {
    path: Vec<String>,
    layer: &'a mut Layer,
}

impl Leaf<'_> {
    /// How well an array's name says it is this layer's: more is better, 0 is not at all.
    ///
    /// In `block/conv/kernel:0` a component in front of the last one is the layer's name, and names
    /// of models around it may come before. In Keras 1's `conv_W` the layer's name comes first. An array that a map
    /// names is the last component itself.
    fn claim(&self, weight_name: &str) -> usize {
        let mut parts: Vec<&str> = weight_name.split('/').collect();
        let last = parts.pop().unwrap_or_default();
        let Some((name, around)) = self.path.split_last() else {
            return 0;
        };
        if matches!(self.layer.inner, Inner::Weight) {
            let shared = around.iter().filter(|name| parts.contains(&name.as_str())).count();
            return if last.split(':').next() == Some(name) { 2 + shared } else { 0 };
        }
        let Some(at) = parts.iter().rposition(|part| part == name) else {
            let starts = last.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('_'));
            return if starts && parts.is_empty() { 1 } else { 0 };
        };
        let shared = around.iter().filter(|name| parts[..at].contains(&name.as_str())).count();
        2 + shared
    }
}

fn collect_leaves<'a>(layer: &'a mut Layer, path: &mut Vec<String>, leaves: &mut Vec<Leaf<'a>>) {
    path.push(layer.name.clone());
    if layer.inner.is_leaf() {
        leaves.push(Leaf { path: path.clone(), layer });
    } else {
        for layer in layer.inner.layers_mut() {
            collect_leaves(layer, path, leaves);
        }
    }
    path.pop();
}

/// For each array, the position of the leaf it belongs to.
fn owners(leaves: &[Leaf<'_>], dialect: Dialect, weights: &[Weight]) -> Result<Vec<usize>, Fault> {
    let counts: Vec<WeightCounts> =
        leaves.iter().map(|leaf| WeightCounts::of(leaf.layer, dialect)).collect::<Result<_, _>>()?;
    let named = by_name(leaves, weights);
    let named_with = |enough: fn(usize, usize) -> bool| {
        let mut found = vec![0; counts.len()];
        named.iter().flatten().for_each(|owner| found[*owner] += 1);
        named
            .clone()
            .filter(|_| found.iter().zip(&counts).all(|(found, counts)| enough(*found, counts.sum())))
    };
    let in_order = || {
        let candidates = [trainable_first(leaves, &counts), layer_by_layer(&counts)];
        candidates.into_iter().find(|owners| fits(leaves, dialect, owners, weights))
    };
    // More arrays than the table of counts knows are those of a class that is not in it.
    let owners = named_with(|found, count| found == count)
        .or_else(in_order)
        .or_else(|| named_with(|found, count| found >= count));
    owners.ok_or_else(|| Fault::Weights {
        found: format!("{} arrays{}", weights.len(), sample(weights.iter().map(|weight| &weight.name))),
        expected: format!(
            "{} arrays for the layers inside",
            counts.iter().map(|counts| counts.sum()).sum::<usize>()
        ),
    })
}

/// By name, where each array is claimed by exactly one layer.
fn by_name(leaves: &[Leaf<'_>], weights: &[Weight]) -> Option<Vec<usize>> {
    let owner = |weight: &Weight| {
        let claims = leaves.iter().map(|leaf| leaf.claim(&weight.name));
        let best = claims.clone().max().filter(|best| *best > 0)?;
        let mut winners = claims.enumerate().filter(|(_, claim)| *claim == best);
        match (winners.next(), winners.next()) {
            (Some((owner, _)), None) => Some(owner),
            _ => None,
        }
    };
    weights.iter().map(owner).collect()
}

/// Keras' order: what gradients train in all layers, then the rest of all layers. A frozen layer has
/// nothing that gradients train.
fn trainable_first(leaves: &[Leaf<'_>], counts: &[WeightCounts]) -> Vec<usize> {
    let trained = leaves.iter().zip(counts).map(|(leaf, counts)| {
        let frozen = !leaf.layer.config.bool_or("trainable", true).unwrap_or(true);
        if frozen { 0 } else { counts.trainable }
    });
    let first = trained.clone().enumerate().flat_map(|(owner, count)| std::iter::repeat_n(owner, count));
    let rest = trained
        .zip(counts)
        .enumerate()
        .flat_map(|(owner, (trained, counts))| std::iter::repeat_n(owner, counts.sum() - trained));
    first.chain(rest).collect()
}

/// The order of a few versions of TensorFlow 1: all arrays of one layer, then of the next.
fn layer_by_layer(counts: &[WeightCounts]) -> Vec<usize> {
    counts.iter().enumerate().flat_map(|(owner, counts)| std::iter::repeat_n(owner, counts.sum())).collect()
}

fn fits(leaves: &[Leaf<'_>], dialect: Dialect, owners: &[usize], weights: &[Weight]) -> bool {
    owners.len() == weights.len()
        && leaves.iter().enumerate().all(|(at, leaf)| {
            let own = owners
                .iter()
                .zip(weights)
                .filter(|(owner, _)| **owner == at)
                .map(|(_, weight)| &*weight.array);
            shapes_fit(leaf.layer, dialect, own)
        })
}

/// The first few names, for a message.
fn sample<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.take(3).map(|name| format!("`{name}`")).collect();
    if names.is_empty() { String::new() } else { format!(" ({}, …)", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::graph;
    use super::*;
    use crate::array::Array;

    fn layer(class: &str, name: &str, config: Value) -> Value {
        let Value::Object(mut map) = config else { panic!("not an object") };
        map.insert("name".into(), name.into());
        json!({"class_name": class, "config": map})
    }

    fn dense(name: &str) -> Value {
        layer("Dense", name, json!({"units": 1}))
    }

    fn batch_normalization(name: &str) -> Value {
        layer("BatchNormalization", name, json!({}))
    }

    fn sequential(name: &str, layers: &[Value]) -> Value {
        layer("Sequential", name, json!({"layers": layers}))
    }

    /// A weight whose value is its number.
    fn weight(name: &str, number: usize, shape: &[usize]) -> Weight {
        Weight::new(name, Array::new(shape, vec![number as f32; shape.iter().product()]))
    }

    fn assigned(
        dialect: Dialect,
        layers: &[Value],
        groups: &[(&str, Vec<Weight>)],
    ) -> Result<Network, ImportError> {
        let file = Path::new("model.h5");
        let (mut network, _) = graph::network(file, dialect, &sequential("s", layers), None)?;
        let groups = groups.iter().map(|(name, weights)| ((*name).to_owned(), weights.clone())).collect();
        weights(file, dialect, &mut network, &Weights::new(groups))?;
        Ok(network)
    }

    /// The numbers of the weights of the layer at `path`.
    fn numbers(network: &Network, path: &[&str]) -> Vec<f32> {
        let (mut layers, mut found) = (network.layers.as_slice(), None);
        for name in path {
            let layer = layers.iter().find(|layer| layer.name == *name).unwrap();
            layers = layer.inner.layers();
            found = Some(layer);
        }
        found.unwrap().weights.iter().map(|weight| weight.array.values[0]).collect()
    }

    /// Arrays of dense, normalization, dense, numbered as Keras orders them.
    fn trainable_first(names: [&str; 8]) -> Vec<Weight> {
        let shapes: [&[usize]; 8] = [&[1, 1], &[1], &[1], &[1], &[1, 1], &[1], &[1], &[1]];
        names
            .iter()
            .zip(shapes)
            .enumerate()
            .map(|(number, (name, shape))| weight(name, number, shape))
            .collect()
    }

    #[test]
    fn a_nested_model_lists_what_is_trained_first_whatever_the_arrays_are_called() {
        let inner = sequential("inner", &[dense("a"), batch_normalization("n"), dense("b")]);
        let named = ["a/k", "a/b", "n/gamma", "n/beta", "inner/b/k", "inner/b/b", "n/mean", "n/variance"];
        let stale = ["x/k", "x/b", "y/gamma", "y/beta", "a/k", "a/b", "y/mean", "y/variance"];
        for names in [named, stale] {
            let groups = [("inner", trainable_first(names))];
            let network = assigned(Dialect::Keras2, std::slice::from_ref(&inner), &groups).unwrap();
            assert_eq!(numbers(&network, &["inner", "a"]), [0.0, 1.0]);
            assert_eq!(numbers(&network, &["inner", "n"]), [2.0, 3.0, 6.0, 7.0]);
            assert_eq!(numbers(&network, &["inner", "b"]), [4.0, 5.0]);
        }
    }

    #[test]
    fn a_frozen_layer_comes_with_what_is_not_trained() {
        let frozen = layer("Dense", "a", json!({"units": 1, "trainable": false}));
        let inner = sequential("inner", &[frozen, batch_normalization("n"), dense("b")]);
        let shapes: [&[usize]; 8] = [&[1], &[1], &[1, 1], &[1], &[1, 1], &[1], &[1], &[1]];
        let weights = shapes.iter().enumerate().map(|(number, shape)| weight("w", number, shape)).collect();
        let network = assigned(Dialect::Keras2, &[inner], &[("inner", weights)]).unwrap();
        assert_eq!(numbers(&network, &["inner", "n"]), [0.0, 1.0, 6.0, 7.0]);
        assert_eq!(numbers(&network, &["inner", "b"]), [2.0, 3.0]);
        assert_eq!(numbers(&network, &["inner", "a"]), [4.0, 5.0]);
    }

    #[test]
    fn layers_of_one_name_in_two_nested_models_are_told_apart_by_the_models_names() {
        let inner =
            sequential("inner", &[sequential("one", &[dense("d")]), sequential("two", &[dense("d")])]);
        let names = ["two/d/kernel", "two/d/bias", "one/d/kernel", "one/d/bias"];
        let shapes: [&[usize]; 4] = [&[1, 1], &[1], &[1, 1], &[1]];
        let weights =
            names.iter().zip(shapes).enumerate().map(|(number, (name, shape))| weight(name, number, shape));
        let network = assigned(Dialect::Keras3, &[inner], &[("inner", weights.collect())]).unwrap();
        assert_eq!(numbers(&network, &["inner", "two", "d"]), [0.0, 1.0]);
        assert_eq!(numbers(&network, &["inner", "one", "d"]), [2.0, 3.0]);
    }

    #[test]
    fn both_directions_of_keras_1_get_their_gates() {
        let lstm = layer("LSTM", "l", json!({"output_dim": 1}));
        let both = layer("Bidirectional", "b", json!({"merge_mode": "sum", "layer": lstm}));
        let names = ["forward_l_W_i", "backward_l_W_i"].map(|name| vec![name; 12]).concat();
        let weights = names.iter().enumerate().map(|(number, name)| weight(name, number, &[1])).collect();
        let network = assigned(Dialect::Keras1, &[both], &[("b", weights)]).unwrap();
        assert_eq!(
            numbers(&network, &["b", "backward_l"]),
            (12..24).map(|number| number as f32).collect::<Vec<_>>()
        );
    }

    #[test]
    fn weights_of_another_instance_go_by_order_even_where_a_name_is_the_same() {
        let own = |name: &'static str, number| {
            (name, vec![weight("k", number, &[1, 1]), weight("b", number, &[1])])
        };
        let groups = [own("d_2", 1), ("flat", vec![]), own("d_3", 2)];
        let layers = [dense("d_1"), layer("Flatten", "f", json!({})), dense("d_2")];
        let network = assigned(Dialect::Keras2, &layers, &groups).unwrap();
        assert_eq!(numbers(&network, &["d_1"]), [1.0, 1.0]);
        assert_eq!(numbers(&network, &["d_2"]), [2.0, 2.0]);
    }

    #[test]
    fn too_few_arrays_are_an_error_that_names_the_layer() {
        let inner = sequential("inner", &[dense("a"), dense("b")]);
        let groups =
            [("inner", vec![weight("a/k", 0, &[1, 1]), weight("a/b", 1, &[1]), weight("b/k", 2, &[1, 1])])];
        let error = assigned(Dialect::Keras2, &[inner], &groups).unwrap_err().to_string();
        assert!(
            error.contains("`inner`") && error.contains("3 arrays") && error.contains("4 arrays"),
            "{error}"
        );
        let error = assigned(Dialect::Keras2, &[dense("a")], &[("a", vec![])]).unwrap_err().to_string();
        assert!(error.contains("weights of 0 layers") || error.contains("no arrays"), "{error}");
    }

    #[test]
    fn a_class_that_nobody_knows_gets_the_arrays_of_its_name() {
        let inner = sequential("inner", &[dense("a"), layer("Strange", "s", json!({}))]);
        let weights = vec![weight("a/k", 0, &[1, 1]), weight("a/b", 1, &[1]), weight("s/w", 2, &[3])];
        let network = assigned(Dialect::Keras2, &[inner], &[("inner", weights)]).unwrap();
        assert_eq!(numbers(&network, &["inner", "s"]), [2.0]);
    }

    #[test]
    fn the_vector_of_a_spectral_normalization_is_no_weight_of_the_layer_inside() {
        let wrapper = |name: &str| layer("SpectralNormalization", name, json!({"layer": dense("d")}));
        let stored = || {
            vec![
                weight("s/d/kernel", 1, &[2, 1]),
                weight("s/d/bias", 2, &[1]),
                weight("s/vector_u", 3, &[1, 1]),
            ]
        };
        let network = assigned(Dialect::Keras3, &[wrapper("s")], &[("s", stored())]).unwrap();
        assert_eq!(numbers(&network, &["s", "d"]), [1.0, 2.0]);
        let renamed = assigned(Dialect::Keras3, &[wrapper("other")], &[("s", stored())]).unwrap();
        assert_eq!(numbers(&renamed, &["other", "d"]), [1.0, 2.0]);
        // Among the arrays of all layers, it comes behind the first in Keras 3, and last before.
        for (dialect, order) in [(Dialect::Keras3, [0, 2, 1]), (Dialect::Keras2, [0, 1, 2])] {
            let file = Path::new("weights.pkl");
            let layers = sequential("s", &[wrapper("s"), dense("e")]);
            let (mut network, _) = graph::network(file, dialect, &layers, None).unwrap();
            let of_wrapper = order.map(|at| stored()[at].clone());
            let others = [weight("e/kernel", 4, &[1, 1]), weight("e/bias", 5, &[1])];
            weights(file, dialect, &mut network, &Weights::in_order([&of_wrapper[..], &others].concat()))
                .unwrap();
            assert_eq!(numbers(&network, &["s", "d"]), [1.0, 2.0]);
            assert_eq!(numbers(&network, &["e"]), [4.0, 5.0]);
        }
    }
}
