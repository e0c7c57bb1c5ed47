//! `x · (1 + erf(x / √2)) / 2` as one operator, where a model has it in parts: Keras exports it as a product of x and
//! `(1 − erf(−x · 0.7071…)) · 0.5`.

use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::ops::gelu::GeluParams;

use super::fold_affine::{Affine, affine};
use crate::graph::{Graph, Node, TensorId};

/// Runs the pass. What only the parts read stays for the pass that takes out what nobody reads.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    for position in 0..graph.nodes.len() {
        let Some(x) = gelu(graph, &graph.nodes[position]) else { continue };
        let node = &mut graph.nodes[position];
        (node.op, node.inputs) = (OpCode::Gelu, vec![x]);
        node.set_params(GeluParams { approximate: 0 });
        details.push(format!("{}: x · (1 + erf(x / √2)) / 2 as gelu", node.layer));
    }
    details
}

/// `factor · source + term`
struct Line {
    source: TensorId,
    factor: f64,
    term: f64,
}

/// The tensor of which a product is the GELU.
fn gelu(graph: &Graph, node: &Node) -> Option<TensorId> {
    if node.op != OpCode::Mul || !is_unclamped(node) {
        return None;
    }
    [(0, 1), (1, 0)].into_iter().find_map(|(of_x, of_share)| {
        let share = lines(graph, node.inputs[of_share]).pop()?;
        let erf = &graph.nodes[graph.producer(share.source)?];
        if erf.op != OpCode::Erf {
            return None;
        }
        let (angles, multiples) = (lines(graph, erf.inputs[0]), lines(graph, node.inputs[of_x]));
        let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-6;
        // The product is m · x · (term + factor · erf(a · x)), and erf is odd.
        let is_gelu = |angle: &Line, multiple: &Line| {
            angle.source == multiple.source
                && (angle.term, multiple.term) == (0.0, 0.0)
                && near(angle.factor.powi(2), 0.5)
                && near(multiple.factor * share.term, 0.5)
                && near(multiple.factor * share.factor * angle.factor.signum(), 0.5)
        };
        let x = angles.iter().find(|angle| multiples.iter().any(|multiple| is_gelu(angle, multiple)))?;
        Some(x.source)
    })
}

/// A tensor as lines of itself, of what it is one of, and so on.
fn lines(graph: &Graph, id: TensorId) -> Vec<Line> {
    let first = Line { source: id, factor: 1.0, term: 0.0 };
    let inner = |of: &Line| {
        let (source, factor, term) = line(graph, &graph.nodes[graph.producer(of.source)?])?;
        Some(Line { source, factor: of.factor * factor, term: of.factor * term + of.term })
    };
    std::iter::successors(Some(first), inner).collect()
}

/// Source, factor and term of a node that has constants of one element.
fn line(graph: &Graph, node: &Node) -> Option<(TensorId, f64, f64)> {
    if node.op == OpCode::Neg {
        return Some((node.inputs[0], -1.0, 0.0));
    }
    if let (OpCode::Sub, Some(&[value])) = (node.op, graph.data(node.inputs[0]).map(|data| &data[..])) {
        let x = node.inputs[1];
        let is_line = is_unclamped(node) && graph.dims(x) == graph.dims(node.output);
        return is_line.then_some((x, -1.0, value.into()));
    }
    let found = affine(graph, node)?;
    let &[value] = &found.constant[..] else { return None };
    let (factor, term) = match found.kind {
        Affine::Factor => (value, 0.0),
        Affine::Term => (1.0, value),
    };
    is_unclamped(node).then_some((found.x, factor, term))
}

fn is_unclamped(node: &Node) -> bool {
    node.params::<BinaryParams>().clamp == Clamp::NONE
}

#[cfg(test)]
mod tests {
    use flatpack_format::Shape;

    use super::*;
    use crate::passes::clean;

    /// The operators that are left of `factor · x · (term + slope · erf(angle · x))`.
    fn left([factor, term, slope, angle]: [f32; 4], clamp: Clamp) -> Vec<OpCode> {
        let mut graph = Graph::default();
        let input = graph.add_input("x", Shape::new(&[2, 3]).unwrap());
        let x = with(&mut graph, OpCode::Mul, input, 3.0, Clamp::NONE);
        let minus = graph.add_node("minus", OpCode::Neg, (), &[x]).unwrap();
        let turned = with(&mut graph, OpCode::Mul, minus, -angle, Clamp::NONE);
        let erf = graph.add_node("erf", OpCode::Erf, (), &[turned]).unwrap();
        let share = with(&mut graph, OpCode::Div, erf, 1.0 / slope, Clamp::NONE);
        let share = with(&mut graph, OpCode::Sub, share, -term, clamp);
        let multiple = with(&mut graph, OpCode::Mul, x, factor, Clamp::NONE);
        let product = BinaryParams { clamp: Clamp::NONE };
        let y = graph.add_node("product", OpCode::Mul, product, &[multiple, share]).unwrap();
        graph.outputs.push(y);
        run(&mut graph);
        clean::run(&mut graph);
        assert_eq!(graph.nodes.last().unwrap().output, y);
        graph.nodes.iter().map(|node| node.op).collect()
    }

    fn with(graph: &mut Graph, op: OpCode, x: TensorId, value: f32, clamp: Clamp) -> TensorId {
        let constant = graph.add_constant("constant", &[1], vec![value]);
        graph.add_node("with", op, BinaryParams { clamp }, &[x, constant]).unwrap()
    }

    #[test]
    fn both_ways_to_write_it_are_gelu() {
        let half = std::f32::consts::FRAC_1_SQRT_2;
        for parts in [[0.5, 1.0, 1.0, half], [-0.5, -1.0, 1.0, -half], [2.0, 0.25, -0.25, -half]] {
            assert_eq!(left(parts, Clamp::NONE), [OpCode::Mul, OpCode::Gelu], "{parts:?}");
        }
    }

    #[test]
    fn other_products_stay() {
        let half = std::f32::consts::FRAC_1_SQRT_2;
        let others =
            [[1.0, 1.0, 1.0, half], [0.5, 2.0, 1.0, half], [0.5, 1.0, -1.0, half], [0.5, 1.0, 1.0, 0.7]];
        for parts in others {
            assert!(!left(parts, Clamp::NONE).contains(&OpCode::Gelu), "{parts:?}");
        }
        assert!(!left([0.5, 1.0, 1.0, half], Clamp { min: 0.0, max: 1.0 }).contains(&OpCode::Gelu));
    }
}
