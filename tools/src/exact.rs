//! Reference values of a graph that computes with integers: operators on integers by naive formulas
//! in 64 bits, which share no code with the kernels; operators on reals, and those that only move
//! elements, by tract.

use crate::graph::{Graph, Node, TensorId};
use crate::ops;
use crate::reference::Predictor;
use flatpack_format::{DType, TensorType};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use tract_core::internal::{TractResult, anyhow};

/// Who makes the predictions, for the file's metadata.
pub const PRODUCER: &str = concat!("flatpack ", env!("CARGO_PKG_VERSION"), ", exact integers");

/// The elements of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Of a tensor of reals.
    Reals(Vec<f32>),
    /// Of a tensor of integers of any width.
    Integers(Vec<i32>),
}

impl Values {
    /// The elements as floats; integers as they are, not as reals.
    pub fn floats(&self) -> Vec<f32> {
        match self {
            Self::Reals(values) => values.clone(),
            Self::Integers(values) => values.iter().map(|&v| v as f32).collect(),
        }
    }

    /// The elements as integers.
    ///
    /// # Panics
    /// If they are reals: an operator on integers was given them against its rule.
    pub fn integers(&self) -> &[i32] {
        match self {
            Self::Integers(values) => values,
            Self::Reals(_) => panic!("reals where the operator's rule demands integers"),
        }
    }

    /// The elements as they stand in memory, in this type.
    pub fn bytes(&self, dtype: DType) -> Vec<u8> {
        match (self, dtype.bytes()) {
            (Self::Reals(values), _) => bytemuck::cast_slice(values).to_vec(),
            (Self::Integers(values), 1) => values.iter().map(|&v| v as u8).collect(),
            (Self::Integers(values), 2) => values.iter().flat_map(|&v| (v as i16).to_le_bytes()).collect(),
            (Self::Integers(values), _) => values.iter().flat_map(|&v| v.to_le_bytes()).collect(),
        }
    }

    /// Elements in a tensor of this type from floats that hold them.
    pub fn from_floats(values: &[f32], dtype: DType) -> Self {
        match dtype {
            DType::F32 | DType::F16 => Self::Reals(values.to_vec()),
            _ => Self::Integers(values.iter().map(|&v| v as i32).collect()),
        }
    }
}

/// An input of an operator on integers: its extents and elements.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// Extents, outermost first.
    pub dims: &'a [u32],
    /// Elements, row-major.
    pub values: &'a Values,
}

impl Operand<'_> {
    /// The element at a position, widened.
    pub fn at(&self, position: &[usize]) -> i64 {
        let index = position.iter().zip(self.dims).fold(0, |index, (&p, &dim)| index * dim as usize + p);
        self.values.integers()[index].into()
    }

    /// The elements at a position in the first axes.
    pub fn row(&self, position: &[usize]) -> &[i32] {
        let (outer, inner) = self.dims.split_at(position.len());
        let len = inner.iter().map(|&dim| dim as usize).product::<usize>();
        let index = position.iter().zip(outer).fold(0, |index, (&p, &dim)| index * dim as usize + p);
        &self.values.integers()[index * len..][..len]
    }
}

impl Operand<'_> {
    /// `f` of each vector that these neighbouring axes make, in its place.
    pub fn along(&self, axes: Range<usize>, f: impl Fn(&[i32]) -> Vec<i32>) -> Vec<i32> {
        let values = self.values.integers();
        let product = |dims: &[u32]| dims.iter().map(|&dim| dim as usize).product::<usize>();
        let (len, inner) = (product(&self.dims[axes.clone()]), product(&self.dims[axes.end..]));
        let mut y = vec![0; values.len()];
        for start in (0..values.len()).step_by(len * inner) {
            for first in start..start + inner {
                let places = (0..len).map(|i| first + i * inner);
                let vector: Vec<i32> = places.clone().map(|place| values[place]).collect();
                for (place, result) in places.zip(f(&vector)) {
                    y[place] = result;
                }
            }
        }
        y
    }
}

/// Computes every tensor of a graph from the elements of its inputs, in a first run.
///
/// # Errors
/// If tract refuses an operator on reals.
pub fn predict(graph: &Graph, inputs: &[Values]) -> TractResult<HashMap<TensorId, Values>> {
    let mut values: HashMap<TensorId, Values> =
        graph.inputs.iter().copied().zip(inputs.iter().cloned()).collect();
    for node in &graph.nodes {
        for &id in &node.inputs {
            if let (false, Some(stored)) = (values.contains_key(&id), stored(graph, id)) {
                values.insert(id, stored);
            }
        }
        let missing = || anyhow!("{} of layer {} reads what nothing computes", node.op.name(), node.layer);
        let operands: Option<Vec<Operand<'_>>> = node
            .inputs
            .iter()
            .map(|id| Some(Operand { dims: graph.dims(*id), values: values.get(id)? }))
            .collect();
        let operands = operands.ok_or_else(missing)?;
        let computed = match ops::operator(node.op).exact {
            Some(exact) => exact(node, &operands, graph.dims(node.output)),
            None => by_tract(graph, node, &operands)?,
        };
        values.insert(node.output, computed);
    }
    Ok(values)
}

/// Tensors whose elements are the same on every machine: the inputs and states, and what operators
/// that compute exactly make of such. Those that only move elements do so with integers.
pub fn reproducible(graph: &Graph) -> HashSet<TensorId> {
    let states = graph.states.iter().map(|state| &state.value);
    let mut exact: HashSet<TensorId> = graph.inputs.iter().chain(states).copied().collect();
    for node in &graph.nodes {
        let moves = graph.tensor(node.output).tensor_type.dtype != DType::F32;
        let inputs = node.inputs.iter().all(|id| exact.contains(id) || graph.is_constant(*id));
        if inputs && (moves || ops::operator(node.op).exact.is_some()) {
            exact.insert(node.output);
        }
    }
    exact
}

/// The elements of a constant, or of a state in a first run, in the type that operators see.
pub(crate) fn stored(graph: &Graph, id: TensorId) -> Option<Values> {
    let tensor = graph.initial(id)?;
    match (tensor.tensor_type.dtype, tensor.data.as_ref()?.integers()) {
        (DType::F32, _) | (_, None) => Some(Values::Reals(tensor.reals()?)),
        (_, Some(integers)) => Some(Values::Integers(integers)),
    }
}

/// One node, computed by tract on floats: exact for integers of up to 24 bits that only move.
fn by_tract(graph: &Graph, node: &Node, operands: &[Operand<'_>]) -> TractResult<Values> {
    let mut alone = Graph::default();
    let mut values = Vec::new();
    let mut inputs = Vec::new();
    for (&id, operand) in node.inputs.iter().zip(operands) {
        let tensor = graph.tensor(id);
        inputs.push(if graph.is_constant(id) {
            alone.add_constant(&tensor.name, operand.dims, operand.values.floats())
        } else {
            values.push(operand.values.floats());
            alone.add_input(&tensor.name, tensor.shape())
        });
    }
    let output = graph.tensor(node.output);
    let y = alone.add_tensor(&output.name, TensorType::f32(output.shape()), None);
    alone.nodes.push(Node { inputs, output: y, ..node.clone() });
    alone.outputs.push(y);
    let computed = Predictor::of_outputs(&alone)?.predict(&values)?;
    Ok(Values::from_floats(&computed[&y], output.tensor_type.dtype))
}
