//! What is a function of one byte becomes one table: a table of a table's elements, and a sum or product of
//! a byte with what tables make of it, as of swish in integers.

use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node, TensorId};
use crate::ops::{self, lookup};
use crate::passes::clean;
use flatpack_format::OpCode;

/// Operators whose elements depend on one element of each input.
const ELEMENTWISE: [OpCode; 8] = [
    OpCode::Lookup,
    OpCode::AddI8,
    OpCode::SubI8,
    OpCode::MulI8,
    OpCode::DivI8,
    OpCode::MaximumI8,
    OpCode::MinimumI8,
    OpCode::SquaredDifferenceI8,
];

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    for position in 0..graph.nodes.len() {
        if let Some(node) = one_table(graph, position) {
            details.push(format!("{}: {} by one table", node.layer, graph.nodes[position].op.name()));
            graph.nodes[position] = node;
        }
    }
    details.extend(clean::drop_unread(graph));
    details
}

/// The table that computes what this node does, if that reads one byte, by a table or several.
fn one_table(graph: &mut Graph, position: usize) -> Option<Node> {
    let node = graph.nodes[position].clone();
    let exact = ops::operator(node.op).exact.filter(|_| ELEMENTWISE.contains(&node.op))?;
    let (x, _) = node.inputs.iter().find_map(|&id| looked_up(graph, id))?;
    let bytes: Vec<i32> = lookup::elements(graph.tensor(x).tensor_type.dtype).collect();
    let same_dims = |id| graph.dims(id) == graph.dims(node.output);
    let mut values = Vec::new();
    for &id in &node.inputs {
        let integers = match (graph.integers(id), looked_up(graph, id)) {
            (Some(constant), _) if constant.len() == 1 || node.op == OpCode::Lookup => constant,
            (None, Some((of, table))) if of == x && same_dims(id) => table,
            (None, None) if id == x && same_dims(id) => bytes.clone(),
            _ => return None,
        };
        values.push(([integers.len() as u32], Values::Integers(integers)));
    }
    let operands: Vec<Operand<'_>> = values.iter().map(|(dims, values)| Operand { dims, values }).collect();
    let Values::Integers(y) = exact(&node, &operands, &[256]) else { return None };
    Some(lookup::node(graph, &Node { inputs: vec![x], ..node }, |x| y[usize::from(x as u8)]))
}

/// What is looked up to make this tensor, and the elements of the table.
fn looked_up(graph: &Graph, id: TensorId) -> Option<(TensorId, Vec<i32>)> {
    let node = &graph.nodes[graph.producer(id)?];
    if node.op == OpCode::Lookup { Some((node.inputs[0], graph.integers(node.inputs[1])?)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact;
    use crate::graph::Data;
    use flatpack_format::ops::add_i8::AddI8Params;
    use flatpack_format::ops::mul_i8::MulI8Params;
    use flatpack_format::ops::{Multiplier, OutputI8};
    use flatpack_format::{DType, Shape, TensorType};

    const Y: OutputI8 = OutputI8 { zero_point: -3, min: -128, max: 127 };
    const HALF: Multiplier = Multiplier { mantissa: 1 << 30, shift: 0 };
    const PRODUCT: MulI8Params = MulI8Params {
        a_zero_point: 5,
        b_zero_point: -128,
        multiplier: Multiplier { mantissa: 3 << 29, shift: -7 },
        y: Y,
    };

    /// An input of so many bytes.
    fn input(graph: &mut Graph, dims: &[u32]) -> TensorId {
        let id =
            graph.add_tensor("x", TensorType { shape: Shape::new(dims).unwrap(), dtype: DType::I8 }, None);
        graph.inputs.push(id);
        id
    }

    /// A table of some function.
    fn table(graph: &mut Graph, of: TensorId, factor: i8) -> TensorId {
        let data: Vec<i8> =
            (0..=u8::MAX).map(|byte| (byte as i8).wrapping_mul(factor).wrapping_add(7)).collect();
        let table = graph.add_raw("table", &[256], Data::I8(data.into()));
        graph.add_node("lookup", OpCode::Lookup, [0u8; 0], &[of, table]).unwrap()
    }

    fn product(graph: &mut Graph, a: TensorId, b: TensorId) -> TensorId {
        graph.add_node("mul", OpCode::MulI8, PRODUCT, &[a, b]).unwrap()
    }

    /// Runs the pass: the outputs stay what they were, for all bytes. The operators that are left.
    fn left(mut graph: Graph, outputs: &[TensorId]) -> Vec<OpCode> {
        graph.outputs = outputs.to_vec();
        let every = |id: &TensorId| {
            let count = graph.tensor(*id).shape().len().unwrap();
            Values::Integers((0..count).map(|at| i32::from(at as u8 as i8)).collect())
        };
        let inputs: Vec<Values> = graph.inputs.iter().map(every).collect();
        let before = exact::predict(&graph, &inputs).unwrap();
        let details = run(&mut graph);
        let after = exact::predict(&graph, &inputs).unwrap();
        for output in outputs {
            assert_eq!(before[output], after[output]);
        }
        assert!(run(&mut graph).is_empty() && clean::run(&mut graph).is_empty());
        let ops: Vec<OpCode> = graph.nodes.iter().map(|node| node.op).collect();
        assert_eq!(details.is_empty(), ops.iter().any(|&op| op != OpCode::Lookup), "{details:?} {ops:?}");
        ops
    }

    #[test]
    fn a_product_of_a_byte_with_its_table_is_a_table() {
        for swapped in [false, true] {
            let mut graph = Graph::default();
            let x = input(&mut graph, &[256]);
            let gate = table(&mut graph, x, 3);
            let y = if swapped { product(&mut graph, gate, x) } else { product(&mut graph, x, gate) };
            assert_eq!(left(graph, &[y]), [OpCode::Lookup]);
        }
    }

    #[test]
    fn tables_of_tables_and_sums_of_them_are_one() {
        let mut graph = Graph::default();
        let x = input(&mut graph, &[2, 128]);
        let first = table(&mut graph, x, 5);
        let second = table(&mut graph, first, -3);
        let zero_points = AddI8Params {
            a_zero_point: 1,
            b_zero_point: -2,
            a_multiplier: HALF,
            b_multiplier: HALF,
            multiplier: Multiplier { mantissa: 1 << 30, shift: -19 },
            y: Y,
        };
        let sum = graph.add_node("add", OpCode::AddI8, zero_points, &[second, first]).unwrap();
        let two = graph.add_raw("two", &[], Data::I8([2].into()));
        let y = product(&mut graph, sum, two);
        assert_eq!(left(graph, &[y]), [OpCode::Lookup]);
    }

    #[test]
    fn a_table_that_others_read_stays() {
        let mut graph = Graph::default();
        let x = input(&mut graph, &[256]);
        let gate = table(&mut graph, x, 3);
        let y = product(&mut graph, x, gate);
        assert_eq!(left(graph, &[y, gate]), [OpCode::Lookup; 2]);
    }

    #[test]
    fn what_depends_on_two_bytes_stays() {
        let mut graph = Graph::default();
        let (a, b) = (input(&mut graph, &[256]), input(&mut graph, &[256]));
        let gate = table(&mut graph, a, 3);
        let y = product(&mut graph, b, gate);
        assert_eq!(left(graph, &[y]), [OpCode::Lookup, OpCode::MulI8]);
    }

    #[test]
    fn what_broadcasts_stays() {
        let mut graph = Graph::default();
        let x = input(&mut graph, &[16, 1]);
        let gate = table(&mut graph, x, 3);
        let row = graph.add_raw("row", &[2], Data::I8([2, 9].into()));
        let y = product(&mut graph, gate, row);
        assert_eq!(left(graph, &[y]), [OpCode::Lookup, OpCode::MulI8]);
    }
}
