//! `x · 1 / (1 + e⁻ˣ)` as one operator, where a model has it as a product of two.

use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::binary::BinaryParams;

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    let mut position = 0;
    while position < graph.nodes.len() {
        let Some(gate) = gate(graph, &graph.nodes[position]) else {
            position += 1;
            continue;
        };
        let logistic = graph.nodes.remove(gate);
        let node = &mut graph.nodes[position - 1];
        details.push(format!("{}: product with its logistic as swish", node.layer));
        let Node { layer, output, .. } = node.clone();
        *node = Node { op: OpCode::Swish, params: Vec::new(), inputs: logistic.inputs, layer, output };
    }
    details
}

/// The logistic that a node multiplies its input with, if no other reads it.
fn gate(graph: &Graph, node: &Node) -> Option<usize> {
    if node.op != OpCode::Mul || node.params::<BinaryParams>().clamp != Clamp::NONE {
        return None;
    }
    [(0, 1), (1, 0)].into_iter().find_map(|(x, gate)| {
        let (x, gate) = (node.inputs[x], node.inputs[gate]);
        let position = graph.producer(gate)?;
        let logistic = &graph.nodes[position];
        graph.only_consumer(gate)?;
        (logistic.op == OpCode::Logistic && logistic.inputs == [x]).then_some(position)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::Shape;

    /// The operators of `x · σ(x)`, changed by `change`, after the pass.
    fn left(clamp: Clamp, keep_gate: bool, of_another: bool) -> Vec<OpCode> {
        let mut graph = Graph::default();
        let [x, other] = ["x", "other"].map(|name| graph.add_input(name, Shape::new(&[2, 3]).unwrap()));
        let gate = graph.add_node("gate", OpCode::Logistic, [0u8; 0], &[x]).unwrap();
        let factors = [gate, if of_another { other } else { x }];
        let y = graph.add_node("y", OpCode::Mul, BinaryParams { clamp }, &factors).unwrap();
        graph.outputs = if keep_gate { vec![y, gate] } else { vec![y] };
        run(&mut graph);
        assert_eq!(graph.nodes.last().unwrap().output, y);
        graph.nodes.iter().map(|node| node.op).collect()
    }

    #[test]
    fn a_product_with_its_own_logistic_is_swish() {
        assert_eq!(left(Clamp::NONE, false, false), [OpCode::Swish]);
    }

    #[test]
    fn other_products_stay() {
        let apart = [OpCode::Logistic, OpCode::Mul];
        assert_eq!(left(Clamp { min: 0.0, max: 6.0 }, false, false), apart);
        assert_eq!(left(Clamp::NONE, true, false), apart);
        assert_eq!(left(Clamp::NONE, false, true), apart);
    }
}
