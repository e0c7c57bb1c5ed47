//! Blocks: which tensors share memory, and where in it each begins.

use crate::graph::{Graph, Node, TensorId};
use flatpack_format::ops::concatenate::ConcatenateParams;
use flatpack_format::ops::strided_slice::StridedSliceParams;
use flatpack_format::{ALIGN, OpCode};
use std::collections::{HashMap, HashSet};

/// Which tensors share a block: a union-find, with the place of each tensor in its block. The root of a
/// block is as large as the block.
pub(super) struct Blocks {
    parent: Vec<usize>,
    /// First byte of each tensor in its parent.
    at: Vec<u32>,
    bytes: Vec<u32>,
    constant: Vec<bool>,
    /// The state whose memory the block with this root is.
    states: HashMap<usize, usize>,
}

impl Blocks {
    pub(super) fn new(graph: &Graph) -> Self {
        let count = graph.tensors.len();
        Self {
            parent: (0..count).collect(),
            at: vec![0; count],
            bytes: (0..count).map(|id| graph.bytes(TensorId(id))).collect(),
            constant: graph.tensors.iter().map(|tensor| tensor.data.is_some()).collect(),
            states: HashMap::new(),
        }
    }

    /// Takes the blocks that are now those of states out of the arena.
    pub(super) fn set_states(&mut self, graph: &Graph) {
        for (at, state) in graph.states.iter().enumerate() {
            for id in [Some(state.value), state.next].into_iter().flatten() {
                let root = self.root(id);
                self.states.insert(root, at);
            }
        }
    }

    /// Whether the block with this root is the memory of a state.
    pub(super) fn is_state(&self, root: usize) -> bool {
        self.states.contains_key(&root)
    }

    pub(super) fn state(&mut self, id: TensorId) -> Option<usize> {
        let root = self.root(id);
        self.states.get(&root).copied()
    }

    /// The root of a tensor's block, and the first byte of the tensor in it.
    pub(super) fn place(&mut self, id: TensorId) -> (usize, u32) {
        let (mut root, mut at) = (id.0, 0);
        while self.parent[root] != root {
            at += self.at[root];
            root = self.parent[root];
        }
        (self.parent[id.0], self.at[id.0]) = (root, at);
        (root, at)
    }

    pub(super) fn root(&mut self, id: TensorId) -> usize {
        self.place(id).0
    }

    /// The root of a tensor's block, if the tensor is the whole of it.
    fn whole(&mut self, id: TensorId) -> Option<usize> {
        let root = self.root(id);
        (self.bytes[root] == self.bytes[id.0]).then_some(root)
    }

    /// Makes the block of `inner` a piece of that of `outer`, from a byte of `outer` on.
    fn put(&mut self, inner: usize, outer: TensorId, byte: u32) {
        let (root, at) = self.place(outer);
        (self.parent[inner], self.at[inner]) = (root, at + byte);
    }

    /// Makes one block of those of two tensors as large as each other, of which at least one is the whole of
    /// its block. Whether that is so.
    pub(super) fn join(&mut self, first: TensorId, second: TensorId) -> bool {
        if let Some(second) = self.whole(second) {
            self.put(second, first, 0);
            return true;
        }
        let first = self.whole(first);
        first.inspect(|&first| self.put(first, second, 0)).is_some()
    }

    /// Whether a node is a slice or a concatenation whose output need only be a name for memory, or whose
    /// inputs can be computed in their places in the output: then it makes them pieces of one block.
    pub(super) fn joins_pieces(&mut self, graph: &Graph, node: &Node) -> bool {
        let Some(pieces) = pieces(graph, node) else { return false };
        let mut roots = HashSet::new();
        for &(inner, outer, byte) in &pieces {
            let in_arena = [inner, outer].iter().all(|&id| !self.constant[id.0] && self.state(id).is_none());
            let whole = self.whole(inner).filter(|&root| root != self.root(outer) && roots.insert(root));
            if !in_arena || whole.is_none() || !byte.is_multiple_of(ALIGN) {
                return false;
            }
        }
        for (inner, outer, byte) in pieces {
            let inner = self.root(inner);
            self.put(inner, outer, byte);
        }
        true
    }

    /// The blocks of a node's inputs that are no constants.
    pub(super) fn reads(&mut self, node: &Node) -> Vec<usize> {
        let activations: Vec<TensorId> =
            node.inputs.iter().copied().filter(|id| !self.constant[id.0]).collect();
        activations.into_iter().map(|id| self.root(id)).collect()
    }

    /// Inputs of the node whose memory its output may take if nobody else needs it: those that the
    /// kernel can stand, that are no constants, as large as the output, and read once. Nothing takes
    /// the memory of a state, and a state takes no other.
    pub(super) fn may_take(&mut self, graph: &Graph, node: &Node) -> Vec<TensorId> {
        let reads = self.reads(node);
        let in_state = self.state(node.output).is_some();
        let allowed = if in_state { 0 } else { node.op.rule().in_place };
        let inputs = node.inputs.iter().enumerate().filter(|(at, _)| allowed >> at & 1 == 1);
        inputs
            .map(|(_, &input)| input)
            .filter(|&input| {
                let block = self.root(input);
                !self.constant[input.0]
                    && !self.is_state(block)
                    && graph.bytes(input) == graph.bytes(node.output)
                    && reads.iter().filter(|&&read| read == block).count() == 1
            })
            .collect()
    }
}

/// Whether a node is a reshape that gives memory another shape. One of a constant copies, and so does
/// one whose output has a place of its own: the next value of a state, or an output of the model that
/// would lie in the memory of a state.
pub(crate) fn renames_memory(graph: &Graph, node: &Node) -> bool {
    let is_next = |id: TensorId| graph.states.iter().any(|state| state.next == Some(id));
    if node.op != OpCode::Reshape || graph.is_constant(node.inputs[0]) || is_next(node.output) {
        return false;
    }
    let origin = origin(graph, node.inputs[0]);
    let in_state = graph.state(origin).is_some() || is_next(origin);
    !(in_state && graph.outputs.contains(&node.output))
}

/// What a tensor is another shape of: itself, or what the first of a chain of reshapes reads, as far as
/// they do not copy to a state.
pub(super) fn origin(graph: &Graph, mut id: TensorId) -> TensorId {
    while let Some(producer) = graph.producer(id).map(|position| &graph.nodes[position]) {
        let is_next = graph.states.iter().any(|state| state.next == Some(id));
        if producer.op != OpCode::Reshape || is_next {
            break;
        }
        id = producer.inputs[0];
    }
    id
}

/// What is a piece of what if a node is a slice or a concatenation whose elements follow each other in
/// memory: inner tensor, outer tensor, and the byte of the outer with which the inner begins.
fn pieces(graph: &Graph, node: &Node) -> Option<Vec<(TensorId, TensorId, u32)>> {
    let bytes_of_index = |id: TensorId, axis: usize| {
        let inner = graph.dims(id)[axis + 1..].iter().product::<u32>();
        inner * graph.tensor(id).tensor_type.dtype.bytes()
    };
    let y = node.output;
    match node.op {
        OpCode::Concatenate => {
            let axis = node.params::<ConcatenateParams>().axis as usize;
            let is_outermost = graph.dims(y)[..axis].iter().all(|&dim| dim == 1);
            let mut end = 0;
            let mut piece = |&x: &TensorId| {
                let begin = end;
                end += graph.bytes(x);
                (x, y, begin)
            };
            is_outermost.then(|| node.inputs.iter().map(&mut piece).collect())
        }
        OpCode::StridedSlice => {
            let StridedSliceParams { begin, stride, .. } = node.params();
            let (x, sizes) = (node.inputs[0], graph.dims(y));
            // Up to an axis single indices, after it all of them.
            let axis = sizes.iter().position(|&size| size != 1).unwrap_or(0);
            let all = (axis + 1..sizes.len()).all(|axis| sizes[axis] == graph.dims(x)[axis]);
            let forward = (axis..sizes.len()).all(|axis| stride[axis] == 1 || sizes[axis] == 1);
            let first = (0..sizes.len()).map(|axis| begin[axis] * bytes_of_index(x, axis)).sum();
            (all && forward).then(|| vec![(y, x, first)])
        }
        _ => None,
    }
}
