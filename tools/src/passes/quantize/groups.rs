//! Which tensors share a scale, and which scale that is.
//!
//! An operator that only selects or moves elements joins its inputs and its output into a group. The
//! range of a group is that of all its tensors together. Tensors whose scale is fixed, such as the
//! output of softmax, give it to their group where nothing else is in it; else they keep their own, and
//! are converted before they are joined.

use super::{Io, QuantizeError, Range, Scales};
use crate::graph::{Graph, Node, TensorId};
use crate::ops::{self, OutputScale};
use crate::quant::Quant;
use flatpack_format::DType;
use std::collections::HashMap;

/// The quantisation of each activation that an operator on integers reads or writes.
///
/// # Errors
/// If the values of a tensor have no scale.
pub(super) fn scales(
    graph: &Graph,
    integer: &[bool],
    ranges: &HashMap<TensorId, Range>,
    io: Io,
) -> Result<Scales, QuantizeError> {
    let nodes = || graph.nodes.iter().zip(integer).filter(|(_, integer)| **integer).map(|(node, _)| node);
    let activations = |node: &Node| -> Vec<TensorId> {
        node.inputs.iter().copied().filter(|&id| !graph.is_constant(id)).collect()
    };
    let mut groups = Groups { parent: (0..graph.tensors.len()).collect() };
    for node in nodes().filter(|node| ops::operator(node.op).scale == OutputScale::OfInputs) {
        for input in activations(node) {
            groups.join(node.output, input);
        }
    }

    let mut members: Vec<TensorId> =
        nodes().flat_map(|node| [activations(node), vec![node.output]].concat()).collect();
    if io == Io::Int8 {
        members.extend(graph.inputs.iter().chain(&graph.outputs));
    }
    members.sort_unstable();
    members.dedup();

    let mut facts: HashMap<usize, Group> = HashMap::new();
    for &id in &members {
        let range = ranges.get(&id).copied().unwrap_or(Range::EMPTY);
        let producer = nodes().find(|node| node.output == id);
        let group = facts.entry(groups.root(id)).or_default();
        group.range = group.range.join(range);
        match producer.map(|node| ops::operator(node.op).scale) {
            Some(OutputScale::OfInputs) => {}
            Some(OutputScale::Fixed { scale, zero_point }) => {
                group.fixed.push((id, Quant::per_tensor(DType::I8, scale, zero_point)));
            }
            Some(OutputScale::Own) | None => group.has_others = true,
        }
    }
    // Constants take part in what moves.
    for node in nodes().filter(|node| ops::operator(node.op).scale == OutputScale::OfInputs) {
        for constant in node.inputs.iter().filter_map(|&id| graph.tensor(id).reals()) {
            let group = facts.entry(groups.root(node.output)).or_default();
            group.range = group.range.join(Range::of(&constant));
            group.has_others = true;
        }
    }

    let mut scales = Scales::default();
    for &id in &members {
        let group = &facts[&groups.root(id)];
        let quant = match group.only_fixed() {
            Some(quant) => quant.clone(),
            None => group
                .range
                .quant()
                .map_err(|reason| QuantizeError::Layer { layer: graph.tensor(id).name.clone(), reason })?,
        };
        match group.fixed.iter().find(|(fixed, _)| *fixed == id) {
            Some((_, own)) => {
                if *own != quant {
                    scales.joined.insert(id, quant);
                }
                scales.of.insert(id, own.clone());
            }
            None => {
                scales.of.insert(id, quant);
            }
        }
    }
    Ok(scales)
}

/// Tensors that share a scale.
struct Group {
    range: Range,
    fixed: Vec<(TensorId, Quant)>,
    /// Whether a tensor in it has values that no fixed scale stands for.
    has_others: bool,
}

impl Default for Group {
    fn default() -> Self {
        Self { range: Range::EMPTY, fixed: Vec::new(), has_others: false }
    }
}

impl Group {
    /// The fixed scale of all of its tensors.
    fn only_fixed(&self) -> Option<&Quant> {
        let (_, first) = self.fixed.first()?;
        (!self.has_others && self.fixed.iter().all(|(_, quant)| quant == first)).then_some(first)
    }
}

/// A union-find over tensors.
struct Groups {
    parent: Vec<usize>,
}

impl Groups {
    fn root(&mut self, id: TensorId) -> usize {
        let mut root = id.0;
        while self.parent[root] != root {
            self.parent[root] = self.parent[self.parent[root]];
            root = self.parent[root];
        }
        root
    }

    fn join(&mut self, first: TensorId, second: TensorId) {
        let (first, second) = (self.root(first), self.root(second));
        self.parent[second] = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::ops::Clamp;
    use flatpack_format::ops::clip::ClipParams;
    use flatpack_format::ops::concatenate::ConcatenateParams;
    use flatpack_format::ops::reshape::ReshapeParams;
    use flatpack_format::ops::softmax::SoftmaxParams;
    use flatpack_format::{OpCode, Shape};

    const RELU: ClipParams = ClipParams { clamp: Clamp { min: 0.0, max: f32::INFINITY } };
    const SOFTMAX: (f32, i32) = (1.0 / 256.0, -128);

    fn graph() -> (Graph, TensorId) {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 4]).unwrap());
        (graph, x)
    }

    /// Scales where tensor number `n` has values from −1 to n.
    fn of(graph: &Graph) -> Scales {
        let range = |n: usize| (TensorId(n), Range { min: -1.0, max: n as f64 });
        let ranges = (0..graph.tensors.len()).map(range).collect();
        scales(graph, &vec![true; graph.nodes.len()], &ranges, Io::Float32).unwrap()
    }

    fn scale(quant: &Quant) -> (f32, i32) {
        (quant.scale(), quant.zero_point())
    }

    fn covering(max: f64) -> (f32, i32) {
        scale(&Range { min: -1.0, max }.quant().unwrap())
    }

    #[test]
    fn what_is_joined_shares_the_scale_of_the_joined_range() {
        let (mut graph, x) = graph();
        let a = graph.add_node("a", OpCode::Clip, RELU, &[x]).unwrap();
        let b = graph.add_node("b", OpCode::Clip, RELU, &[x]).unwrap();
        let join = ConcatenateParams { axis: 1 };
        let constant = graph.add_constant("c", &[1, 1], vec![50.0]);
        let y = graph.add_node("y", OpCode::Concatenate, join, &[a, b, constant]).unwrap();
        let scales = of(&graph);
        for id in [a, b, y] {
            assert_eq!(scale(&scales.of[&id]), covering(50.0));
        }
        assert_eq!(scale(&scales.of[&x]), covering(0.0));
        assert!(scales.joined.is_empty() && !scales.of.contains_key(&constant));
    }

    #[test]
    fn what_only_moves_a_fixed_scale_keeps_it() {
        let (mut graph, x) = graph();
        let a = graph.add_node("a", OpCode::Softmax, SoftmaxParams { axis: 1 }, &[x]).unwrap();
        let shape = Shape::new(&[2, 2]).unwrap();
        let y = graph.add_node("y", OpCode::Reshape, ReshapeParams::new(&shape), &[a]).unwrap();
        let scales = of(&graph);
        assert_eq!([a, y].map(|id| scale(&scales.of[&id])), [SOFTMAX; 2]);
        assert!(scales.joined.is_empty());
    }

    #[test]
    fn a_fixed_scale_is_converted_where_it_is_joined_with_others() {
        let (mut graph, x) = graph();
        let a = graph.add_node("a", OpCode::Softmax, SoftmaxParams { axis: 1 }, &[x]).unwrap();
        let b = graph.add_node("b", OpCode::Clip, RELU, &[x]).unwrap();
        let y = graph.add_node("y", OpCode::Concatenate, ConcatenateParams { axis: 1 }, &[a, b]).unwrap();
        let scales = of(&graph);
        assert_eq!(scale(&scales.of[&a]), SOFTMAX);
        assert_eq!(scale(&scales.joined[&a]), covering(3.0));
        assert_eq!([b, y].map(|id| scale(&scales.of[&id])), [covering(3.0); 2]);
    }

    #[test]
    fn a_range_without_a_scale_names_the_layer() {
        let (mut graph, x) = graph();
        let y = graph.add_node("tiny", OpCode::Clip, RELU, &[x]).unwrap();
        let tiny = |id| (id, Range { min: 0.0, max: if id == y { 1e-38 } else { 1.0 } });
        let error = scales(&graph, &[true], &[x, y].map(tiny).into(), Io::Float32).unwrap_err();
        assert!(error.to_string().starts_with("layer `tiny`: its values lie between"), "{error}");
    }
}
