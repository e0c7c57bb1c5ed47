//! The graph of a model between import and file: owned, before layout.
//!
//! Importers add nodes; passes rewrite them. A tensor keeps its number through all passes, so that
//! the value which the imported graph gives it can be compared with what the file computes.

use crate::array::Array;
use crate::quant::Quant;
use bytemuck::Pod;
use flatpack_format::{DType, Layout, Misfit, OpCode, Shape, TensorType};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Number of a tensor in [`Graph::tensors`]; the same before and after every pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// A model as operators on tensors of static shape.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The model's name.
    pub name: String,
    /// All tensors ever made, by number; passes leave behind some that nothing uses.
    pub tensors: Vec<Tensor>,
    /// The operators, each after those whose outputs it takes.
    pub nodes: Vec<Node>,
    /// The model's inputs, in its own order.
    pub inputs: Vec<TensorId>,
    /// The model's outputs, in its own order. An input or a constant may be one.
    pub outputs: Vec<TensorId>,
    /// What a run keeps for the next.
    pub states: Vec<State>,
    /// For a tensor that a pass made, the one that has its elements in another shape.
    pub reshaped: HashMap<TensorId, TensorId>,
}

/// Memory that survives a run.
#[derive(Clone, Debug)]
pub struct State {
    /// What a run finds there: `init` in the first run, then what the run before left. Nodes read it;
    /// none computes it.
    pub value: TensorId,
    /// Its elements before the first run; integers where `value` is quantised.
    pub init: Data,
    /// What the run leaves there; `None` where it stays, or where the operator that reads it updates it.
    pub next: Option<TensorId>,
}

/// A tensor.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Where it comes from: the layer that computes it, or the weight it is.
    pub name: String,
    /// Element type and shape, batch included. Operators on reals see `f32`, however the elements
    /// are stored; the pass `lower_integers` makes it the type of the file.
    pub tensor_type: TensorType,
    /// How its elements lie in memory; anything but `rows` is the work of the last pass.
    pub layout: Layout,
    /// Its elements, where they are constant, in its layout.
    pub data: Option<Data>,
    /// How integers stand for its reals, where they do.
    pub quant: Option<Quant>,
}

/// The elements of a constant, as they are stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// binary32.
    F32(Arc<[f32]>),
    /// binary16, as its bits.
    F16(Arc<[u16]>),
    /// Signed bytes.
    I8(Arc<[i8]>),
    /// Unsigned bytes.
    U8(Arc<[u8]>),
    /// Signed words of 16 bits.
    I16(Arc<[i16]>),
    /// Signed words of 32 bits.
    I32(Arc<[i32]>),
}

impl Data {
    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F16(_) => DType::F16,
            Self::I8(_) => DType::I8,
            Self::U8(_) => DType::U8,
            Self::I16(_) => DType::I16,
            Self::I32(_) => DType::I32,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.bytes().len() / self.dtype().bytes() as usize
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// The elements of several, one after the other; `None` if their types differ, or there are none.
    pub fn concatenated(parts: &[&Self]) -> Option<Self> {
        fn words<const N: usize, T>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Arc<[T]> {
            bytes.as_chunks().0.iter().map(|&word| of(word)).collect()
        }
        let dtype = parts.first()?.dtype();
        if parts.iter().any(|part| part.dtype() != dtype) {
            return None;
        }
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes()).copied().collect();
        Some(match dtype {
            DType::F32 => Self::F32(words(&bytes, f32::from_le_bytes)),
            DType::F16 => Self::F16(words(&bytes, u16::from_le_bytes)),
            DType::I8 => Self::I8(words(&bytes, i8::from_le_bytes)),
            DType::I16 => Self::I16(words(&bytes, i16::from_le_bytes)),
            DType::I32 => Self::I32(words(&bytes, i32::from_le_bytes)),
            DType::U8 | DType::Bool => Self::U8(bytes.into()),
        })
    }

    /// The elements with these indices, in their order.
    pub fn picked(&self, indices: impl Iterator<Item = usize>) -> Self {
        match self {
            Self::F32(v) => Self::F32(indices.map(|index| v[index]).collect()),
            Self::F16(v) => Self::F16(indices.map(|index| v[index]).collect()),
            Self::I8(v) => Self::I8(indices.map(|index| v[index]).collect()),
            Self::U8(v) => Self::U8(indices.map(|index| v[index]).collect()),
            Self::I16(v) => Self::I16(indices.map(|index| v[index]).collect()),
            Self::I32(v) => Self::I32(indices.map(|index| v[index]).collect()),
        }
    }

    /// The elements as they stand in a file.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(v) => bytemuck::cast_slice(v),
            Self::F16(v) => bytemuck::cast_slice(v),
            Self::I8(v) => bytemuck::cast_slice(v),
            Self::U8(v) => v,
            Self::I16(v) => bytemuck::cast_slice(v),
            Self::I32(v) => bytemuck::cast_slice(v),
        }
    }

    /// The elements as integers; `None` for floats.
    pub fn integers(&self) -> Option<Vec<i32>> {
        match self {
            Self::F32(_) | Self::F16(_) => None,
            Self::I8(v) => Some(v.iter().map(|&v| v.into()).collect()),
            Self::U8(v) => Some(v.iter().map(|&v| v.into()).collect()),
            Self::I16(v) => Some(v.iter().map(|&v| v.into()).collect()),
            Self::I32(v) => Some(v.to_vec()),
        }
    }

    /// The elements as floats, each the nearest; integers as they are, not as reals.
    pub fn floats(&self) -> Vec<f32> {
        match self {
            Self::F32(v) => v.to_vec(),
            Self::F16(v) => v.iter().map(|&bits| flatpack_runtime::math::half(bits)).collect(),
            Self::I8(v) => v.iter().map(|&v| v.into()).collect(),
            Self::U8(v) => v.iter().map(|&v| v.into()).collect(),
            Self::I16(v) => v.iter().map(|&v| v.into()).collect(),
            Self::I32(v) => v.iter().map(|&v| v as f32).collect(),
        }
    }
}

impl Tensor {
    /// The shape.
    pub fn shape(&self) -> Shape {
        self.tensor_type.shape
    }

    /// The extents, batch first.
    pub fn dims(&self) -> &[u32] {
        self.tensor_type.shape.dims()
    }

    /// The reals of a constant, with its shape; `None` for an activation.
    pub fn constant(&self) -> Option<Array> {
        let shape: Vec<usize> = self.dims().iter().map(|&d| d as usize).collect();
        Some(Array::new(shape, self.reals()?))
    }

    /// The reals that a constant stands for, in its layout; `None` for an activation.
    pub fn reals(&self) -> Option<Vec<f32>> {
        let data = self.data.as_ref()?;
        match (&self.quant, data.integers()) {
            (Some(quant), Some(integers)) => Some(quant.reals(&integers, self.dims())),
            _ => Some(data.floats()),
        }
    }
}

/// An operator applied to tensors.
#[derive(Clone, Debug)]
pub struct Node {
    /// The layer of the source that asked for it, such as `block_1/conv2d`.
    pub layer: String,
    /// The operator.
    pub op: OpCode,
    /// Its parameter record.
    pub params: Vec<u8>,
    /// What it reads.
    pub inputs: Vec<TensorId>,
    /// What it computes.
    pub output: TensorId,
}

impl Node {
    /// The parameter record.
    ///
    /// # Panics
    /// If `P` is not the record of this operator.
    pub fn params<P: Pod>(&self) -> P {
        bytemuck::pod_read_unaligned(&self.params)
    }

    /// Whether its layer has this name, or lies within what has: `block/conv` within `block`.
    pub fn is_within(&self, name: &str) -> bool {
        self.layer.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Replaces the parameter record.
    pub fn set_params<P: Pod>(&mut self, params: P) {
        self.params = bytemuck::bytes_of(&params).to_vec();
    }
}

/// Operands or parameters that do not fit an operator: what an importer asked for is impossible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeError {
    /// The operator.
    pub op: OpCode,
    /// Shapes of the inputs.
    pub inputs: Vec<Shape>,
    /// What does not fit.
    pub misfit: Misfit,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}: {}", self.op.name(), self.inputs, self.misfit)
    }
}

impl std::error::Error for NodeError {}

impl Graph {
    /// The tensor with this number.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// The extents of a tensor, batch first.
    pub fn dims(&self, id: TensorId) -> &[u32] {
        self.tensors[id.0].dims()
    }

    /// The elements of a constant that is stored as float32; `None` for any other tensor.
    pub fn data(&self, id: TensorId) -> Option<&Arc<[f32]>> {
        match &self.tensors[id.0].data {
            Some(Data::F32(values)) => Some(values),
            _ => None,
        }
    }

    /// The elements of a constant that is stored as integers; `None` for any other tensor.
    pub fn integers(&self, id: TensorId) -> Option<Vec<i32>> {
        self.tensors[id.0].data.as_ref()?.integers()
    }

    /// How integers stand for the reals of a tensor, where they do.
    pub fn quant(&self, id: TensorId) -> Option<&Quant> {
        self.tensors[id.0].quant.as_ref()
    }

    /// Whether integers stand for the reals of an activation.
    pub fn has_integers(&self) -> bool {
        self.tensors.iter().any(|tensor| tensor.data.is_none() && tensor.quant.is_some())
    }

    /// Whether a tensor is constant.
    pub fn is_constant(&self, id: TensorId) -> bool {
        self.tensors[id.0].data.is_some()
    }

    /// Adds a tensor as it is.
    pub fn add(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// Adds a tensor.
    pub fn add_tensor(&mut self, name: &str, tensor_type: TensorType, data: Option<Data>) -> TensorId {
        self.add(Tensor { name: name.to_owned(), tensor_type, layout: Layout::Rows, data, quant: None })
    }

    /// Adds a constant of reals that is stored in any way; with `quant`, its integers stand for them.
    ///
    /// # Panics
    /// As [`Graph::add_constant`].
    pub fn add_stored(&mut self, name: &str, dims: &[u32], data: Data, quant: Option<Quant>) -> TensorId {
        let shape = Shape::new(dims).expect("at most six dimensions");
        assert_eq!(shape.len(), Some(data.len() as u32), "{name}: {shape:?} for {} values", data.len());
        let id = self.add_tensor(name, TensorType::f32(shape), Some(data));
        self.tensors[id.0].quant = quant;
        id
    }

    /// Adds a constant whose type is that of its elements: an operand of an operator on integers.
    ///
    /// # Panics
    /// As [`Graph::add_constant`].
    pub fn add_raw(&mut self, name: &str, dims: &[u32], data: Data) -> TensorId {
        let dtype = data.dtype();
        let id = self.add_stored(name, dims, data, None);
        self.tensors[id.0].tensor_type.dtype = dtype;
        id
    }

    /// Adds a float32 input of the model.
    pub fn add_input(&mut self, name: &str, shape: Shape) -> TensorId {
        let id = self.add_tensor(name, TensorType::f32(shape), None);
        self.inputs.push(id);
        id
    }

    /// Adds a float32 constant.
    ///
    /// # Panics
    /// If the number of values is not the product of `dims`, or there are more than six dimensions.
    pub fn add_constant(&mut self, name: &str, dims: &[u32], values: impl Into<Arc<[f32]>>) -> TensorId {
        let shape = Shape::new(dims).expect("at most six dimensions");
        let values = values.into();
        assert_eq!(shape.len(), Some(values.len() as u32), "{name}: {shape:?} for {} values", values.len());
        self.add_tensor(name, TensorType::f32(shape), Some(Data::F32(values)))
    }

    /// Adds memory that survives a run, with its elements before the first; with `quant`, integers stand
    /// for its reals. The run leaves it as it finds it, unless an operator updates it or
    /// [`State::next`] is set.
    ///
    /// # Panics
    /// As [`Graph::add_constant`].
    pub fn add_state(&mut self, name: &str, dims: &[u32], init: Data, quant: Option<Quant>) -> TensorId {
        let value = self.add_stored(name, dims, init.clone(), quant);
        self.tensors[value.0].data = None;
        self.states.push(State { value, init, next: None });
        value
    }

    /// The memory whose value a run finds in this tensor.
    pub fn state(&self, id: TensorId) -> Option<&State> {
        self.states.iter().find(|state| state.value == id)
    }

    /// Whether somebody reads a tensor after the last node: it is an output of the model, or the next
    /// value of a state.
    pub fn is_kept(&self, id: TensorId) -> bool {
        self.outputs.contains(&id) || self.states.iter().any(|state| state.next == Some(id))
    }

    /// A tensor with its elements: a constant, or a state before the first run. `None` for any other.
    pub fn initial(&self, id: TensorId) -> Option<Tensor> {
        let init = self.state(id).map(|state| state.init.clone());
        let tensor = self.tensor(id);
        let data = Some(tensor.data.clone().or(init)?);
        Some(Tensor { data, ..tensor.clone() })
    }

    /// Adds an operator after all others; its output has the type that the operator's rule gives,
    /// and the name of the layer.
    ///
    /// # Errors
    /// If operands or parameters do not fit the operator.
    pub fn add_node<P: Pod>(
        &mut self,
        layer: &str,
        op: OpCode,
        params: P,
        inputs: &[TensorId],
    ) -> Result<TensorId, NodeError> {
        let params = bytemuck::bytes_of(&params).to_vec();
        let tensor_type = self.infer(op, &params, inputs)?;
        let output = self.add_tensor(layer, tensor_type, None);
        self.nodes.push(Node { layer: layer.to_owned(), op, params, inputs: inputs.to_vec(), output });
        Ok(output)
    }

    /// The type of an operator's output.
    ///
    /// # Errors
    /// If operands or parameters do not fit the operator.
    pub fn infer(&self, op: OpCode, params: &[u8], inputs: &[TensorId]) -> Result<TensorType, NodeError> {
        let types: Vec<TensorType> = inputs.iter().map(|&id| self.tensor(id).tensor_type).collect();
        let error = |misfit| NodeError { op, inputs: types.iter().map(|t| t.shape).collect(), misfit };
        if params.len() != op.params_bytes() as usize {
            return Err(error(Misfit::Params));
        }
        let made = (op.rule().output)(params, &types).map_err(error)?;
        if made.shape.len().is_none_or(|len| len == 0 || len > u32::MAX / 4) {
            return Err(error(Misfit::Overflow));
        }
        Ok(made)
    }

    /// Position of the node that computes a tensor; `None` for inputs and constants.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.nodes.iter().position(|node| node.output == id)
    }

    /// Positions of the nodes that read a tensor.
    pub fn consumers(&self, id: TensorId) -> Vec<usize> {
        let reads = |(_, node): &(usize, &Node)| node.inputs.contains(&id);
        self.nodes.iter().enumerate().filter(reads).map(|(position, _)| position).collect()
    }

    /// The one node that reads a tensor, if it is the only one, reads it once, and nobody reads the
    /// tensor after the last node.
    pub fn only_consumer(&self, id: TensorId) -> Option<usize> {
        let mut found = None;
        for (position, node) in self.nodes.iter().enumerate() {
            for _ in node.inputs.iter().filter(|&&input| input == id) {
                if found.replace(position).is_some() {
                    return None;
                }
            }
        }
        found.filter(|_| !self.is_kept(id))
    }

    /// Makes every reader of `old`, the model's outputs and the next values of states included, read
    /// `new`.
    pub fn replace_uses(&mut self, old: TensorId, new: TensorId) {
        for node in &mut self.nodes {
            for input in node.inputs.iter_mut().filter(|input| **input == old) {
                *input = new;
            }
        }
        for output in self.outputs.iter_mut().filter(|output| **output == old) {
            *output = new;
        }
        for next in self.states.iter_mut().filter_map(|state| state.next.as_mut()).filter(|n| **n == old) {
            *next = new;
        }
    }

    /// Multiply-accumulates of a node.
    pub fn macs(&self, node: &Node) -> u64 {
        let types: Vec<TensorType> = node.inputs.iter().map(|&id| self.tensor(id).tensor_type).collect();
        (node.op.rule().macs)(&node.params, &types, &self.tensor(node.output).tensor_type)
    }

    /// Bytes that a tensor takes in its layout.
    pub fn bytes(&self, id: TensorId) -> u32 {
        let tensor = self.tensor(id);
        tensor.tensor_type.bytes(tensor.layout).unwrap_or(u32::MAX)
    }
}

/// A shape from host-side extents.
///
/// `None` if there are more than six, or one does not fit 32 bits.
pub fn shape(dims: &[usize]) -> Option<Shape> {
    let dims: Option<Vec<u32>> = dims.iter().map(|&d| u32::try_from(d).ok()).collect();
    Shape::new(&dims?)
}
