//! From the graph that an importer made to the graph that goes into the file. Each pass is a
//! function on the graph that says how many changes it made.

pub mod clean;
pub mod compress_weights;
pub mod fold_affine;
pub mod fold_constants;
pub mod fuse_activation;
pub mod fuse_gelu;
pub mod fuse_lookups;
pub mod fuse_swish;
pub mod keep_states;
pub mod lower_integers;
pub mod merge_padding;
pub mod one_channel;
pub mod one_pixel;
pub mod pack;
pub mod patches;
pub mod plan_memory;
pub mod quantize;
pub mod schedule;
pub mod sink_reshape;
pub mod stream;
pub mod widen_constants;

use crate::graph::Graph;

/// What one pass did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The pass.
    pub pass: &'static str,
    /// Layer by layer, in a sentence each.
    pub details: Vec<String>,
}

type Pass = fn(&mut Graph) -> Vec<String>;

const PASSES: &[(&str, Pass)] = &[
    ("clean", clean::run),
    ("one channel", one_channel::run),
    ("widen constants", widen_constants::run),
    ("fold constants", fold_constants::run),
    ("sink reshape", sink_reshape::run),
    ("fold affine", fold_affine::run),
    ("merge padding", merge_padding::run),
    ("fuse activation", fuse_activation::run),
    ("fuse gelu", fuse_gelu::run),
    ("fuse swish", fuse_swish::run),
];

/// Rewrites a graph. The model's outputs keep their values.
pub fn run(graph: &mut Graph) -> Vec<Change> {
    // What a quantised model computes depends on where it rounds: nothing is folded or fused there.
    let passes = if graph.has_integers() { &PASSES[..2] } else { PASSES };
    let mut changes: Vec<Change> =
        passes.iter().map(|&(pass, _)| Change { pass, details: Vec::new() }).collect();
    // One pass makes room for another: repeat until none finds anything.
    loop {
        let mut found = false;
        for ((_, pass), change) in passes.iter().zip(&mut changes) {
            let details = pass(graph);
            found |= !details.is_empty();
            change.details.extend(details);
        }
        if !found {
            break;
        }
    }
    changes.retain(|change| !change.details.is_empty());
    changes
}
