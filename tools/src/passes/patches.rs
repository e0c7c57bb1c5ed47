//! Patches: some neighbouring layers are computed band by band of rows, so that of the tensors between them
//! only a band is in memory at a time. As "patch-based inference" of Lin, Chen, Cai, Gan and Han, "MCUNetV2:
//! Memory-Efficient Patch-based Inference for Tiny Deep Learning" (2021), in bands as wide as the image.
//!
//! The layers lie between two tensors, *entry* and *exit*, and all that reads what they compute, but the
//! exit, is among them. The exit's rows are cut into bands; what a band needs of each tensor follows
//! backwards from the windows. Neighbouring bands overlap there, and what lies in two of them is computed
//! twice:
//!
//! ```text
//! entry ─┬─ slice ─ layers on few rows ─┐
//!        ├─ slice ─ layers on few rows ─┼─ concatenation ─ exit
//!        └─ slice ─ layers on few rows ─┘
//! ```
//!
//! Slices and concatenations of rows are names for memory ([`crate::memory`]), so that the runtime sees nothing
//! but layers on smaller images.

use crate::graph::{Graph, Node, TensorId};
use crate::memory::{self, MemoryError, MemoryPlan};
use crate::ops::{self, part::Part};
use flatpack_format::ops::concatenate::ConcatenateParams;
use flatpack_format::ops::strided_slice::StridedSliceParams;
use flatpack_format::{ALIGN, MAX_INPUTS, MAX_RANK, OpCode};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use thiserror::Error;

/// The most bands: a concatenation takes no more inputs.
const MOST_BANDS: u32 = MAX_INPUTS as u32;

/// Plans that are made for one model, of cuts that fit in the order in which their steps are given.
const MOST_PLANS: usize = 8;

/// Plans that are made of cuts that may fit in another order.
const MOST_GUESSES: usize = 6;

/// The height, of images `[N, H, W, C]`.
const HEIGHT: usize = 1;

/// What patches do to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patches {
    /// Number of bands; 1 if the model fits as it is.
    pub bands: usize,
    /// The first and the last of the layers that are computed in bands.
    pub layers: Option<[String; 2]>,
    /// Size of the arena without and with patches.
    pub arena_bytes: [u32; 2],
    /// Multiply-accumulates without and with patches.
    pub macs: [u64; 2],
}

impl Patches {
    /// Multiply-accumulates that patches add, in per cent.
    pub fn more_macs_percent(&self) -> f64 {
        let [before, after] = self.macs.map(|macs| macs as f64);
        if before == 0.0 { 0.0 } else { 100.0 * (after / before - 1.0) }
    }
}

/// Why there are no patches.
#[derive(Debug, Error)]
pub enum PatchError {
    /// No patches that were tried make the arena small enough.
    #[error("{}", too_large(*.most_bytes, .smallest))]
    TooLarge {
        /// The arena that was wished for.
        most_bytes: u32,
        /// What comes nearest.
        smallest: Patches,
    },
    /// There is no memory plan.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

fn too_large(most: u32, smallest: &Patches) -> String {
    let [plain, patched] = smallest.arena_bytes;
    let wish = format!("the arena takes {plain} bytes, more than the {most} that it may");
    match &smallest.layers {
        None => format!("{wish}, and patches make it no smaller"),
        Some([first, last]) => format!(
            "{wish}; the smallest that was found takes {patched} bytes, with {} patches of the layers from \
             `{first}` to `{last}` and {:.1} % more multiply-accumulates",
            smallest.bands,
            smallest.more_macs_percent()
        ),
    }
}

/// Rewrites a graph so that its arena takes `most_bytes` at most, with as few multiply-accumulates as can be
/// found; leaves it as it is if its `plan` fits. The plan becomes that of the graph.
///
/// # Errors
/// If no patches are found that fit, or a plan cannot be made.
pub fn run(graph: &mut Graph, plan: &mut MemoryPlan, most_bytes: u32) -> Result<Patches, PatchError> {
    let macs = graph.nodes.iter().map(|node| graph.macs(node)).sum();
    let none = Patches { bands: 1, layers: None, arena_bytes: [plan.arena_bytes; 2], macs: [macs; 2] };
    if plan.arena_bytes <= most_bytes {
        return Ok(none);
    }
    let Some(found) = Search::new(graph, plan.arena_bytes).best(most_bytes)? else {
        return Err(PatchError::TooLarge { most_bytes, smallest: none });
    };
    let layer = |position: Option<&usize>| position.map(|&at| graph.nodes[at].layer.clone());
    let nodes = &found.cut.nodes;
    let patches = Patches {
        bands: found.cut.bands.len(),
        layers: layer(nodes.first()).zip(layer(nodes.last())).map(<[String; 2]>::from),
        arena_bytes: [plan.arena_bytes, found.plan.arena_bytes],
        macs: [macs, found.graph.nodes.iter().map(|node| found.graph.macs(node)).sum()],
    };
    if found.plan.arena_bytes > most_bytes {
        return Err(PatchError::TooLarge { most_bytes, smallest: patches });
    }
    (*graph, *plan) = (found.graph, found.plan);
    Ok(patches)
}

/// Layers that are computed in bands.
#[derive(Clone, Debug)]
struct Cut {
    entry: TensorId,
    exit: TensorId,
    /// Positions of the layers, ascending.
    nodes: Vec<usize>,
    bands: Vec<Band>,
    /// Multiply-accumulates that bands compute more than once.
    more_macs: u64,
    /// No plan takes less.
    least_bytes: u64,
}

/// Some rows of the exit, and what they need.
#[derive(Clone, Debug)]
struct Band {
    /// Rows of every tensor of the cut.
    rows: HashMap<TensorId, Range<u32>>,
    /// For each layer of the cut, its part; none where the band does not need it.
    parts: Vec<Option<Part>>,
}

/// A cut, the graph that it makes, and its plan.
struct Found {
    cut: Cut,
    graph: Graph,
    plan: MemoryPlan,
}

/// All cuts of a graph.
struct Search<'a> {
    graph: &'a Graph,
    plain_bytes: u32,
    /// Of each tensor: who computes it, who reads it.
    producer: HashMap<TensorId, usize>,
    readers: HashMap<TensorId, BTreeSet<usize>>,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, plain_bytes: u32) -> Self {
        let (mut producer, mut readers) = (HashMap::new(), HashMap::<_, BTreeSet<_>>::new());
        for (position, node) in graph.nodes.iter().enumerate() {
            producer.insert(node.output, position);
            node.inputs.iter().for_each(|&input| {
                readers.entry(input).or_default().insert(position);
            });
        }
        Self { graph, plain_bytes, producer, readers }
    }

    /// The cut that fits with the fewest multiply-accumulates, or else one with a small arena; none where no
    /// cut makes it smaller.
    fn best(&self, most_bytes: u32) -> Result<Option<Found>, MemoryError> {
        let mut smallest = None;
        let mut cuts = self.cuts(most_bytes.into())?;
        cuts.sort_by_key(|cut| (cut.more_macs, cut.bands.len()));
        let (mut plans, mut guesses) = (MOST_PLANS, MOST_GUESSES);
        for cut in cuts {
            let Some((patched, load)) = self.patched_with_load(&cut)? else { continue };
            // Another order of the steps may take less than the one that they are given in.
            let budget = if load <= most_bytes.into() {
                &mut plans
            } else if load / 4 * 3 <= most_bytes.into() {
                &mut guesses
            } else {
                continue;
            };
            if *budget == 0 {
                continue;
            }
            *budget -= 1;
            self.consider(cut, patched, &mut smallest)?;
            if smallest.as_ref().is_some_and(|found: &Found| found.plan.arena_bytes <= most_bytes) {
                return Ok(smallest);
            }
        }
        let others = self.smallest()?;
        Ok(smallest.into_iter().chain(others).min_by_key(|found| found.plan.arena_bytes))
    }

    /// The smallest arena that is found, the same for every wish: among cuts in two, which other orders of
    /// the steps help most, and then among those with the smallest bounds.
    fn smallest(&self) -> Result<Option<Found>, MemoryError> {
        let mut smallest = None;
        let cuts = self.cuts(u64::from(self.plain_bytes) - 1)?;
        let (in_two, mut in_more): (Vec<Cut>, Vec<Cut>) =
            cuts.into_iter().partition(|cut| cut.bands.len() == 2);
        let mut guesses = Vec::new();
        for cut in in_two {
            if let Some((patched, load)) = self.patched_with_load(&cut)? {
                guesses.push((load, cut, patched));
            }
        }
        guesses.sort_by_key(|(load, cut, _)| (*load, cut.more_macs));
        for (_, cut, patched) in guesses.into_iter().take(MOST_GUESSES) {
            self.consider(cut, patched, &mut smallest)?;
        }
        in_more.sort_by_key(|cut| (cut.least_bytes, cut.more_macs));
        let mut plans = MOST_PLANS;
        for cut in in_more {
            let limit = smallest.as_ref().map_or(self.plain_bytes, |found: &Found| found.plan.arena_bytes);
            if plans == 0 || cut.least_bytes >= limit.into() {
                break;
            }
            let Some((patched, load)) = self.patched_with_load(&cut)? else { continue };
            if load < limit.into() {
                plans -= 1;
                self.consider(cut, patched, &mut smallest)?;
            }
        }
        Ok(smallest)
    }

    /// The graph with the layers of a cut in bands, and the bytes alive at its busiest step.
    fn patched_with_load(&self, cut: &Cut) -> Result<Option<(Graph, u64)>, MemoryError> {
        let Some(patched) = self.patched(cut) else { return Ok(None) };
        let load = memory::loads(&patched)?.into_iter().map(|(_, load)| load).max();
        Ok(Some((patched, load.unwrap_or(0))))
    }

    /// Plans a cut, and keeps it if it is the smallest.
    fn consider(&self, cut: Cut, graph: Graph, smallest: &mut Option<Found>) -> Result<(), MemoryError> {
        let plan = memory::plan(&graph)?;
        let before = smallest.as_ref().map_or(self.plain_bytes, |found| found.plan.arena_bytes);
        if plan.arena_bytes < before {
            *smallest = Some(Found { cut, graph, plan });
        }
        Ok(())
    }

    /// Every cut that may take no more than `limit`.
    fn cuts(&self, limit: u64) -> Result<Vec<Cut>, MemoryError> {
        let loads = memory::loads(self.graph)?;
        // Steps that take more are to be in the cut: patches leave all others as they are.
        let busy: BTreeSet<usize> =
            loads.iter().filter(|(_, load)| *load > limit).map(|(output, _)| self.producer[output]).collect();
        let images: Vec<TensorId> = (0..self.graph.tensors.len())
            .map(TensorId)
            .filter(|&id| {
                let given = self.graph.inputs.contains(&id) || self.producer.contains_key(&id);
                given && self.graph.dims(id).len() > HEIGHT + 1 && self.graph.dims(id)[0] == 1
            })
            .collect();
        let bytes = |id: TensorId| u64::from(self.graph.bytes(id));
        let mut cuts = Vec::new();
        for &exit in &images {
            for &entry in &images {
                if entry == exit || bytes(entry) + bytes(exit) > limit {
                    continue;
                }
                let Some(nodes) = self.between(entry, exit) else { continue };
                if nodes.len() < 2 || !busy.iter().all(|step| nodes.contains(step)) {
                    continue;
                }
                let counts = 2..=MOST_BANDS;
                let cuts_of = counts.filter_map(|count| self.cut(entry, exit, &nodes, count));
                cuts.extend(cuts_of.filter(|cut| cut.least_bytes <= limit));
            }
        }
        Ok(cuts)
    }

    /// Positions of the layers that compute `exit` from `entry`, if nothing else reads what they compute and
    /// they read nothing else.
    fn between(&self, entry: TensorId, exit: TensorId) -> Option<Vec<usize>> {
        let mut nodes = BTreeSet::new();
        let mut todo = vec![exit];
        while let Some(id) = todo.pop() {
            let position = *self.producer.get(&id)?;
            let node = &self.graph.nodes[position];
            ops::operator(node.op).part?;
            if nodes.insert(position) {
                let read = node.inputs.iter().copied();
                todo.extend(read.filter(|&input| input != entry && !self.graph.is_constant(input)));
            }
        }
        let inside = |&position: &usize| {
            let y = self.graph.nodes[position].output;
            let mut readers = self.readers.get(&y).into_iter().flatten();
            y == exit || (!self.graph.is_kept(y) && readers.all(|reader| nodes.contains(reader)))
        };
        nodes.iter().all(inside).then(|| nodes.into_iter().collect())
    }

    fn cut(&self, entry: TensorId, exit: TensorId, nodes: &[usize], count: u32) -> Option<Cut> {
        let graph = self.graph;
        let rows = |id: TensorId| graph.dims(id)[HEIGHT];
        let bands: Vec<Band> = band_rows(rows(exit), graph.bytes(exit) / rows(exit), count)?
            .into_iter()
            .map(|rows| self.band(exit, nodes, rows))
            .collect::<Option<_>>()?;
        let (mut before, mut after) = (0, 0);
        for &position in nodes {
            let node = &graph.nodes[position];
            let (macs, all) = (graph.macs(node), u64::from(rows(node.output)));
            let of_bands = bands.iter().filter_map(|band| band.rows.get(&node.output));
            before += macs;
            after += of_bands.map(|rows| macs / all * u64::from(rows.end - rows.start)).sum::<u64>();
        }
        // While an inner band is computed, so much of each tensor is there besides entry and exit.
        let inner = bands.get(1..bands.len() - 1)?.iter().flat_map(|band| &band.rows);
        let inner = inner.filter(|(id, _)| **id != entry && **id != exit);
        let most = inner.map(|(&id, band)| graph.bytes(id) / rows(id) * (band.end - band.start)).max();
        let least_bytes = [Some(graph.bytes(entry)), Some(graph.bytes(exit)), most]
            .into_iter()
            .flatten()
            .map(u64::from)
            .sum();
        let more_macs = after.saturating_sub(before);
        Some(Cut { entry, exit, nodes: nodes.to_vec(), bands, more_macs, least_bytes })
    }

    /// What `rows` of the exit need.
    fn band(&self, exit: TensorId, nodes: &[usize], rows: Range<u32>) -> Option<Band> {
        let mut band = Band { rows: HashMap::from([(exit, rows)]), parts: vec![None; nodes.len()] };
        for (part, &position) in band.parts.iter_mut().zip(nodes).rev() {
            let node = &self.graph.nodes[position];
            let Some(rows) = band.rows.get(&node.output) else { continue };
            let found = ops::operator(node.op).part?(self.graph, node, rows.clone())?;
            for (&input, read) in node.inputs.iter().zip(&found.reads) {
                match read {
                    Some(read) => {
                        let needed = band.rows.entry(input).or_insert_with(|| read.clone());
                        *needed = needed.start.min(read.start)..needed.end.max(read.end);
                    }
                    None if self.graph.is_constant(input) => {}
                    None => return None,
                }
            }
            *part = Some(found);
        }
        Some(band)
    }

    /// The graph with the layers of a cut in bands.
    fn patched(&self, cut: &Cut) -> Option<Graph> {
        let mut graph = self.graph.clone();
        let mut made = Vec::new();
        let mut pieces = Vec::new();
        for band in &cut.bands {
            // Rows of each tensor that the band has, and the tensor that holds them.
            let mut parts: BTreeMap<TensorId, (Range<u32>, TensorId)> = BTreeMap::new();
            let whole = 0..graph.dims(cut.entry)[HEIGHT];
            parts.insert(cut.entry, (whole, cut.entry));
            for (&position, part) in cut.nodes.iter().zip(&band.parts) {
                let Some(part) = part else { continue };
                let node = &self.graph.nodes[position];
                let mut inputs = Vec::new();
                for (&input, read) in node.inputs.iter().zip(&part.reads) {
                    inputs.push(match read {
                        None => input,
                        Some(read) => {
                            let (has, from) = parts.get(&input)?;
                            let (has, from) = (has.clone(), *from);
                            if has == *read {
                                from
                            } else {
                                let slice = slice(&mut graph, &node.layer, from, has.start, read)?;
                                made.push(slice.clone());
                                slice.output
                            }
                        }
                    });
                }
                let rows = band.rows.get(&node.output)?;
                let output = rows_of(&mut graph, node.output, rows.end - rows.start);
                let node = Node { params: part.params.clone(), inputs, output, ..node.clone() };
                let fits = graph.infer(node.op, &node.params, &node.inputs).ok()?;
                (fits == graph.tensor(output).tensor_type).then_some(())?;
                parts.insert(self.graph.nodes[position].output, (rows.clone(), output));
                made.push(node);
            }
            pieces.push(parts.get(&cut.exit)?.1);
        }
        let last = *cut.nodes.last()?;
        let mut join = Node {
            layer: self.graph.nodes[last].layer.clone(),
            op: OpCode::Concatenate,
            params: Vec::new(),
            inputs: pieces,
            output: cut.exit,
        };
        join.set_params(ConcatenateParams { axis: HEIGHT as u32 });
        made.push(join);
        let is_cut = |position: &usize| cut.nodes.binary_search(position).is_ok();
        let (before, after) = self.graph.nodes.split_at(last);
        let before =
            before.iter().enumerate().filter(|(position, _)| !is_cut(position)).map(|(_, node)| node);
        graph.nodes = before.cloned().chain(made).chain(after.iter().skip(1).cloned()).collect();
        Some(graph)
    }
}

/// Cuts `rows` into `count` bands, each but the first beginning at a multiple of the alignment; as even as
/// that allows. `None` if there are not so many.
fn band_rows(rows: u32, row_bytes: u32, count: u32) -> Option<Vec<Range<u32>>> {
    let common = |a: u32, b: u32| (1..=b).rev().find(|d| a.is_multiple_of(*d) && b.is_multiple_of(*d));
    let unit = ALIGN / common(row_bytes, ALIGN)?;
    let units = rows.div_ceil(unit);
    let begin = |band: u32| (band * units / count * unit).min(rows);
    let bands: Vec<Range<u32>> = (0..count).map(|band| begin(band)..begin(band + 1)).collect();
    bands.iter().all(|band| !band.is_empty()).then_some(bands)
}

/// A tensor for `rows` rows of another.
fn rows_of(graph: &mut Graph, id: TensorId, rows: u32) -> TensorId {
    let mut tensor = graph.tensor(id).clone();
    tensor.tensor_type.shape = tensor.shape().with_dim(HEIGHT, rows);
    graph.add(tensor)
}

/// The node that takes these rows of a tensor, the first of whose own rows is `first`.
fn slice(graph: &mut Graph, layer: &str, x: TensorId, first: u32, rows: &Range<u32>) -> Option<Node> {
    let mut params = StridedSliceParams { begin: [0; MAX_RANK], stride: [1; MAX_RANK], size: [1; MAX_RANK] };
    params.size.iter_mut().zip(graph.dims(x)).for_each(|(size, &dim)| *size = dim);
    params.begin[HEIGHT] = rows.start.checked_sub(first)?;
    params.size[HEIGHT] = rows.end - rows.start;
    let output = rows_of(graph, x, rows.end - rows.start);
    let mut node = Node {
        layer: layer.to_owned(),
        op: OpCode::StridedSlice,
        params: Vec::new(),
        inputs: vec![x],
        output,
    };
    node.set_params(params);
    Some(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::{self, Values};
    use crate::graph::Data;
    use crate::passes::lower_integers;
    use crate::quant::Quant;
    use flatpack_format::ops::Clamp;
    use flatpack_format::ops::average_pool_2d::Pool2dParams;
    use flatpack_format::ops::binary::BinaryParams;
    use flatpack_format::ops::conv_2d::Conv2dParams;
    use flatpack_format::ops::depthwise_conv_2d::DepthwiseConv2dParams;
    use flatpack_format::ops::pad::PadParams;
    use flatpack_format::{DType, Shape};

    fn quantised(graph: &mut Graph, id: TensorId) -> TensorId {
        graph.tensors[id.0].quant = Some(Quant::per_tensor(DType::I8, 0.05, 3));
        id
    }

    fn weights(graph: &mut Graph, dims: &[u32]) -> TensorId {
        let values = (0..dims.iter().product::<u32>()).map(|at| (at * 37 % 101) as i8 - 50);
        let quant = Quant::per_tensor(DType::I8, 0.01, 0);
        graph.add_stored("w", dims, Data::I8(values.collect()), Some(quant))
    }

    /// Layers of odd heights, with strides and padding on both sides, an addition past two of them, and a pool.
    fn network() -> Graph {
        let mut graph = Graph::default();
        let clamp = Clamp::NONE;
        let x = graph.add_input("x", Shape::new(&[1, 13, 6, 3]).unwrap());
        quantised(&mut graph, x);
        let add = |graph: &mut Graph, layer: &str, op: OpCode, params: Vec<u8>, inputs: &[TensorId]| {
            let tensor_type = graph.infer(op, &params, inputs).unwrap();
            let output = graph.add_tensor(layer, tensor_type, None);
            graph.nodes.push(Node { layer: layer.into(), op, params, inputs: inputs.to_vec(), output });
            quantised(graph, output)
        };
        let conv = |taps: u32, pad: u32| {
            let pad = [pad; 2];
            let params =
                Conv2dParams { stride: [1; 2], dilation: [1; 2], pad_h: pad, pad_w: pad, groups: 1, clamp };
            (bytemuck::bytes_of(&params).to_vec(), taps)
        };
        let (params, taps) = conv(3, 1);
        let w = weights(&mut graph, &[16, taps, taps, 3]);
        let first = add(&mut graph, "first", OpCode::Conv2d, params, &[x, w]);
        let w = weights(&mut graph, &[3, 3, 16]);
        let params =
            DepthwiseConv2dParams { stride: [1; 2], dilation: [1; 2], pad_h: [1; 2], pad_w: [1; 2], clamp };
        let params = bytemuck::bytes_of(&params).to_vec();
        let deep = add(&mut graph, "deep", OpCode::DepthwiseConv2d, params, &[first, w]);
        let params = bytemuck::bytes_of(&BinaryParams { clamp }).to_vec();
        let sum = add(&mut graph, "sum", OpCode::Add, params, &[first, deep]);
        let params = Pool2dParams { window: [3; 2], stride: [2; 2], pad_h: [1; 2], pad_w: [0, 1], clamp };
        let params = bytemuck::bytes_of(&params).to_vec();
        let pool = add(&mut graph, "pool", OpCode::AveragePool2d, params, &[sum]);
        let mut pads = [0; MAX_RANK];
        pads[1..3].fill(1);
        let params = bytemuck::bytes_of(&PadParams { before: pads, after: pads, value: 0.0 }).to_vec();
        let padded = add(&mut graph, "padded", OpCode::Pad, params, &[pool]);
        let (params, taps) = conv(3, 0);
        let w = weights(&mut graph, &[8, taps, taps, 16]);
        let last = add(&mut graph, "last", OpCode::Conv2d, params, &[padded, w]);
        graph.outputs.push(last);
        lower_integers::run(&mut graph).unwrap();
        graph
    }

    fn input(graph: &Graph) -> Vec<Values> {
        let len = graph.tensor(graph.inputs[0]).shape().len().unwrap() as i32;
        vec![Values::Integers((0..len).map(|at| at * 73 % 256 - 128).collect())]
    }

    #[test]
    fn every_cut_keeps_every_value() {
        let graph = network();
        let x = input(&graph);
        let wanted = exact::predict(&graph, &x).unwrap();
        let search = Search::new(&graph, u32::MAX);
        let mut seen = BTreeSet::new();
        for cut in search.cuts(u64::MAX).unwrap() {
            // Of many bands all but the first and the last are alike.
            if cut.bands.len() > 5 && cut.bands.len() != 13 {
                continue;
            }
            let patched = search.patched(&cut).unwrap();
            let values = exact::predict(&patched, &x).unwrap();
            let common = values.keys().filter(|id| wanted.contains_key(id));
            let differ: Vec<_> = common.filter(|id| values[id] != wanted[id]).collect();
            assert!(values.contains_key(&cut.exit) && differ.is_empty(), "{cut:?}: {differ:?}");
            let macs = |graph: &Graph| graph.nodes.iter().map(|node| graph.macs(node)).sum::<u64>();
            assert_eq!(macs(&patched), macs(&graph) + cut.more_macs);
            seen.insert((cut.entry.0, cut.exit.0, cut.bands.len()));
        }
        let id = |layer: &str| graph.nodes.iter().find(|node| node.layer == layer).unwrap().output.0;
        // 13 rows in 2, 4 and 13 bands; 7 rows in 3; the addition within; nothing from between its branches.
        for (exit, bands) in [("sum", 2), ("sum", 4), ("sum", 13), ("pool", 3), ("last", 2)] {
            assert!(seen.contains(&(graph.inputs[0].0, id(exit), bands)), "{exit} {bands}");
        }
        assert!(seen.iter().all(|&(entry, exit, _)| entry != id("deep") && exit != id("deep")));
    }

    #[test]
    fn bands_begin_where_memory_is_aligned() {
        assert_eq!(band_rows(7, 96, 3), Some(vec![0..2, 2..4, 4..7]));
        assert_eq!(band_rows(7, 24, 3), Some(vec![0..2, 2..4, 4..7]));
        assert_eq!(band_rows(7, 4, 2), Some(vec![0..4, 4..7]));
        assert_eq!(band_rows(7, 4, 3), None);
        assert_eq!(band_rows(7, 1, 2), None);
        assert_eq!(band_rows(2, 96, 3), None);
    }

    #[test]
    fn a_graph_that_fits_stays_as_it_is() {
        let mut graph = network();
        let nodes = format!("{:?}", graph.nodes);
        let mut plan = memory::plan(&graph).unwrap();
        let arena_bytes = plan.arena_bytes;
        let patches = run(&mut graph, &mut plan, arena_bytes).unwrap();
        assert_eq!((patches.bands, patches.layers), (1, None));
        assert_eq!((format!("{:?}", graph.nodes), plan.arena_bytes), (nodes, arena_bytes));
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_what_can() {
        let mut graph = network();
        let mut plan = memory::plan(&graph).unwrap();
        let Err(PatchError::TooLarge { most_bytes: 16, smallest }) = run(&mut graph, &mut plan, 16) else {
            panic!("an arena of 16 bytes");
        };
        let [plain, least] = smallest.arena_bytes;
        assert!(least < plain && plain == plan.arena_bytes, "{smallest:?}");
        assert!(matches!(run(&mut graph, &mut plan, least - 1), Err(PatchError::TooLarge { .. })));
        let patches = run(&mut graph, &mut plan, least).unwrap();
        assert!(patches.bands > 1 && patches.macs[1] > patches.macs[0], "{patches:?}");
        assert_eq!((patches.arena_bytes, plan.arena_bytes), ([plain, least], least));
    }
}
