//! Any function of one 8-bit integer, as a table.

use super::Operator;
use crate::exact::{Operand, Values};
use crate::graph::{Data, Graph, Node};
use flatpack_format::{DType, OpCode};

/// The operator.
pub const OPERATOR: Operator = Operator { in_place: 1, ..Operator::on_integers(OpCode::Lookup, exact) };

/// The node that computes `f` of each integer that `node` reads, by a table. `f` is given an integer
/// of the type of the input, and gives one of the type of the output.
pub(crate) fn node(graph: &mut Graph, node: &Node, f: impl Fn(i32) -> i32) -> Node {
    let [x, y] = [node.inputs[0], node.output].map(|id| graph.tensor(id).tensor_type.dtype);
    let byte_as = |byte: u8| if x == DType::U8 { i32::from(byte) } else { i32::from(byte as i8) };
    let table: Vec<u8> = (0..=255u8).map(|byte| f(byte_as(byte)) as u8).collect();
    let data = match y {
        DType::U8 => Data::U8(table.into()),
        _ => Data::I8(table.into_iter().map(|v| v as i8).collect()),
    };
    let table = graph.add_raw(&format!("{} table", node.layer), &[256], data);
    Node { op: OpCode::Lookup, params: Vec::new(), inputs: vec![node.inputs[0], table], ..node.clone() }
}

fn exact(_: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    let table = inputs[1].values.integers();
    Values::Integers(inputs[0].values.integers().iter().map(|&x| table[usize::from(x as u8)]).collect())
}
