//! From an imported graph to a file that has met its goldens.

mod cases;

use self::cases::{Asked, Case};
use crate::exact;
use crate::golden;
use crate::graph::Graph;
use crate::memory::{self, MemoryError, MemoryPlan, Region};
use crate::passes::compress_weights::{self, WeightFormat};
use crate::passes::patches::{self, PatchError, Patches};
use crate::passes::{
    self, Change, fuse_lookups, keep_states, lower_integers, one_pixel, pack, widen_constants,
};
use crate::reference;
use crate::{emit, graph::TensorId};
use flatpack_format::ops::pad::PadParams;
use flatpack_format::writer::{Draft, WriteError};
use flatpack_format::{Block, MAX_RANK, Model, OpCode, Target};
use flatpack_runtime::golden::{Checked, Divergence};
use flatpack_runtime::{Kernel, LoadError, OpenFault, Session, ops};
use std::collections::{BTreeMap, HashSet};
use thiserror::Error;

/// What goes into the file besides the graph.
#[derive(Clone, Debug)]
pub struct Options {
    /// The machine to lay weights out for.
    pub target: Target,
    /// How the weights of layers with products are stored.
    pub weights: WeightFormat,
    /// Layers whose weights stay float32: names, or names of what they lie within.
    pub keep_float: Vec<String>,
    /// The goldens.
    pub goldens: Goldens,
    /// Leave out names and metadata.
    pub strip: bool,
    /// The most bytes that the arena may take: layers are computed in patches where that is what it takes.
    pub max_arena: Option<u32>,
    /// The memories of the board, the faster one first; none stands for memory enough. Patches are for one.
    pub regions: Vec<Region>,
    /// Metadata about the source.
    pub meta: BTreeMap<String, String>,
}

impl Default for Options {
    /// For any machine, in float32, with two predicted goldens.
    fn default() -> Self {
        Self {
            target: Target::Portable,
            weights: WeightFormat::Float32,
            keep_float: Vec::new(),
            goldens: Goldens::Predicted(2),
            strip: false,
            max_arena: None,
            regions: Vec::new(),
            meta: BTreeMap::new(),
        }
    }
}

/// Where goldens come from.
#[derive(Clone, Debug)]
pub enum Goldens {
    /// This many cases, from a fixed seed, predicted by tract.
    Predicted(usize),
    /// Cases of inputs and outputs that the user has, for instance from Keras.
    Given(Vec<GivenCase>),
}

/// One case that the user gives: values of each input and output, in the model's order.
#[derive(Clone, Debug)]
pub struct GivenCase {
    /// Values of each input.
    pub inputs: Vec<Vec<f32>>,
    /// Values of each output.
    pub outputs: Vec<Vec<f32>>,
}

/// What weights in fewer bytes than float32 takes save and cost.
#[derive(Clone, Debug)]
pub struct WeightReport {
    /// What float32 weights were to become.
    pub format: WeightFormat,
    /// Bytes of all constants, if they were float32.
    pub float32_bytes: u64,
    /// Bytes of all constants as they are stored, scales included.
    pub stored_bytes: u64,
    /// Signal-to-noise ratio of each output in dB, over the golden inputs: the signal is what float32
    /// weights give, or what the user does. Infinite where nothing differs; empty where weights have the
    /// values that the source gives them.
    pub snr_db: Vec<f64>,
}

/// A file that has met its goldens, and how it was made.
#[derive(Debug)]
pub struct Built {
    /// The file in aligned memory.
    pub blocks: Vec<Block>,
    /// Its length.
    pub file_bytes: usize,
    /// What is in it.
    pub draft: Draft,
    /// The tensors of the graph that are its inputs.
    pub inputs: Vec<TensorId>,
    /// Their names, whether or not the file has names.
    pub input_names: Vec<String>,
    /// What the passes did.
    pub changes: Vec<Change>,
    /// Where tensors lie.
    pub plan: MemoryPlan,
    /// What patches do, if the arena was to be no larger than some size.
    pub patches: Option<Patches>,
    /// The part of the inputs' likely range that its goldens are drawn from: less than 1 where of all of it, rounding
    /// alone would decide what the model gives.
    pub golden_share: f32,
    /// How far it is from its goldens.
    pub checked: Checked,
    /// Of weights in fewer bytes, if there are some.
    pub weights: Option<WeightReport>,
}

impl Built {
    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &Block::bytes(&self.blocks)[..self.file_bytes]
    }

    /// The checked view of the file.
    ///
    /// # Panics
    /// Never: it was parsed when it was built.
    pub fn model(&self) -> Model<'_> {
        Model::parse(self.bytes()).expect("the file was parsed when it was built")
    }

    /// The same file with more metadata; none if it was built without any.
    ///
    /// # Errors
    /// If the file becomes too long.
    pub fn with_metadata(mut self, meta: BTreeMap<String, String>) -> Result<Self, BuildError> {
        if !self.draft.meta.is_empty() {
            self.draft.meta.extend(meta);
            (self.blocks, self.file_bytes) = self.draft.write()?;
        }
        Ok(self)
    }
}

/// The most elements that the tensors of a graph have together: the reference keeps them all. A small
/// file can describe any number.
const MAX_ELEMENTS: u64 = 1 << 28;

/// Why a file cannot be made of a graph.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The graph is larger than any that its reference can be computed of.
    #[error("the tensors of the graph have {elements} elements together, expected at most {MAX_ELEMENTS}")]
    TooLarge {
        /// Elements of all tensors.
        elements: u64,
    },
    /// An output is computed from constants alone.
    #[error("output {output} does not depend on any input")]
    ConstantOutput {
        /// Number of the output.
        output: usize,
    },
    /// A name of `keep_float` is that of no layer.
    #[error("no layer is named `{name}`, nor lies within; the layers are {}", .layers.join(", "))]
    NoSuchLayer {
        /// The name.
        name: String,
        /// The layers that there are.
        layers: Vec<String>,
    },
    /// tract cannot compute the reference predictions.
    #[error("the reference predictions failed: {0}")]
    Reference(String),
    /// A golden of the user's does not have the model's inputs and outputs.
    #[error("golden {case}: {what} has {found} values, expected {expected}")]
    GoldenShape {
        /// Number of the case.
        case: usize,
        /// `input 0`, `output 1`.
        what: String,
        /// Values given.
        found: usize,
        /// Values that the model has there.
        expected: usize,
    },
    /// A layer cannot be computed with integers.
    #[error(transparent)]
    Integers(#[from] lower_integers::Refused),
    /// There is no memory plan.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The arena takes more than it may.
    #[error(transparent)]
    Patches(#[from] PatchError),
    /// The file breaks a rule of the format.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The file cannot be mapped.
    #[error("what was written cannot be opened: {0}")]
    Open(OpenFault),
    /// The file does not load.
    #[error("the file does not load: {0}")]
    Load(LoadError),
    /// The file does not compute what the reference predicts.
    #[error("the file does not meet its goldens: {divergence}{}", .layer.as_ref().map(|l| format!(" (layer {l})")).unwrap_or_default())]
    Diverges {
        /// Where.
        divergence: Divergence,
        /// The layer of the step.
        layer: Option<String>,
    },
}

/// Makes a file of a graph: reference predictions of the graph as it is, then passes, memory plan,
/// layout, and a run of the file against its goldens. Where passes round, as those do that compute with
/// integers or store weights in fewer bytes, the predictions are those of what they make.
///
/// # Errors
/// If the model cannot be planned or written, or the file does not meet its goldens.
pub fn build(mut graph: Graph, options: &Options) -> Result<Built, BuildError> {
    check_size(&graph)?;
    if options.weights != WeightFormat::Float32 {
        check_layers(&graph, &options.keep_float)?;
    }
    let of_reals = match graph.has_integers() {
        false => Some(cases::predict(&graph, cases::asked(&graph, &options.goldens)?)?),
        true => None,
    };
    let mut changes = prepare(&mut graph)?;
    let mut changed = |pass, details: Vec<String>| {
        if !details.is_empty() {
            changes.push(Change { pass, details });
        }
    };
    changed("lower integers", lower_integers::run(&mut graph)?);
    changed("widen constants", widen_constants::run(&mut graph));
    changed("keep states", keep_states::run(&mut graph));
    let (_, float32_bytes) = compress_weights::constant_bytes(&graph);
    let compressed = compress_weights::run(&mut graph, options.weights, &options.keep_float);
    let (stored_bytes, _) = compress_weights::constant_bytes(&graph);
    let cases = match &of_reals {
        Some(cases) if !compressed.rounded => cases,
        Some(cases) => {
            let again = cases.iter().map(|case| Asked::Given { inputs: case.inputs.clone(), outputs: None });
            &cases::predict(&graph, again.collect())?
        }
        None => {
            let mut asked = cases::asked(&graph, &options.goldens)?;
            if compressed.rounded {
                asked.iter_mut().for_each(Asked::forget_outputs);
            }
            &cases::predict(&graph, asked)?
        }
    };
    let weights = (!compressed.details.is_empty()).then(|| WeightReport {
        format: options.weights,
        float32_bytes,
        stored_bytes,
        snr_db: of_reals
            .as_ref()
            .filter(|_| compressed.rounded)
            .map_or_else(Vec::new, |of_reals| snr_db(of_reals, cases)),
    });
    changed("compress weights", compressed.details);
    changed("fuse lookups", fuse_lookups::run(&mut graph));
    if options.target == Target::Linux {
        changed("one pixel", one_pixel::run(&mut graph));
    }
    changed("pack", pack::run(&mut graph, options.target));
    let mut plan = memory::plan_in(&graph, &options.regions, options.target)?;
    let fit = |most_bytes| patches::run(&mut graph, &mut plan, most_bytes);
    let patches = options.max_arena.map(fit).transpose()?;
    let (mut draft, _) = emit::draft(&graph, &plan, options.target);
    let step_outputs: Vec<TensorId> = plan.steps.iter().map(|node| node.output).collect();
    let exact = if graph.has_integers() { exact::reproducible(&graph) } else { HashSet::new() };
    draft.cases = cases
        .iter()
        .map(|case| golden::case(&graph, &case.inputs, &case.outputs, &case.values, &step_outputs, &exact))
        .collect();
    if options.strip {
        draft.tensors.iter_mut().for_each(|tensor| tensor.name = None);
        draft.steps.iter_mut().for_each(|step| step.name = None);
    } else {
        draft.meta = options.meta.clone();
        let producer = match options.goldens {
            Goldens::Given(_) if !compressed.rounded => "given by the user",
            _ if graph.has_integers() => exact::PRODUCER,
            _ => reference::PRODUCER,
        };
        draft.meta.insert("golden.producer".into(), producer.into());
        draft.meta.insert("producer".into(), concat!("flatpack ", env!("CARGO_PKG_VERSION")).into());
    }
    let golden_share = of_reals.iter().flatten().map(|case| case.share).fold(1.0, f32::min);
    let (blocks, file_bytes) = draft.write()?;
    let model = Model::parse(&Block::bytes(&blocks)[..file_bytes]).map_err(WriteError::Invalid)?;
    let checked = check(&model, ops::ALL)?;
    let input_names = graph.inputs.iter().map(|&id| graph.tensor(id).name.clone()).collect();
    let inputs = graph.inputs;
    Ok(Built {
        blocks,
        file_bytes,
        draft,
        inputs,
        input_names,
        changes,
        plan,
        patches,
        golden_share,
        checked,
        weights,
    })
}

/// Gives each output memory of its own, and runs the passes on reals.
///
/// # Errors
/// If an output is constant, or the graph too large.
pub fn prepare(graph: &mut Graph) -> Result<Vec<Change>, BuildError> {
    check_size(graph)?;
    give_outputs_memory(graph)?;
    Ok(passes::run(graph))
}

fn check_size(graph: &Graph) -> Result<(), BuildError> {
    let lens = graph.tensors.iter().map(|tensor| u64::from(tensor.shape().len().unwrap_or(u32::MAX)));
    let elements = lens.fold(0, u64::saturating_add);
    if elements > MAX_ELEMENTS { Err(BuildError::TooLarge { elements }) } else { Ok(()) }
}

/// Demands that each of these names is that of a layer, or of what layers lie within.
fn check_layers(graph: &Graph, names: &[String]) -> Result<(), BuildError> {
    match names.iter().find(|name| !graph.nodes.iter().any(|node| node.is_within(name))) {
        None => Ok(()),
        Some(name) => {
            let mut layers: Vec<String> = graph.nodes.iter().map(|node| node.layer.clone()).collect();
            layers.dedup();
            Err(BuildError::NoSuchLayer { name: name.clone(), layers })
        }
    }
}

/// For each output, `10 · log₁₀(Σ y² / Σ (y − ŷ)²)` over the elements of all cases, where y are those of
/// `signal` and ŷ those of `noisy`.
fn snr_db(signal: &[Case], noisy: &[Case]) -> Vec<f64> {
    let outputs = signal.first().map_or(0, |case| case.outputs.len());
    let of_output = |output: usize| {
        let (mut power, mut noise) = (0.0, 0.0);
        for (signal, noisy) in signal.iter().zip(noisy) {
            for (y, other) in signal.outputs[output].floats().iter().zip(noisy.outputs[output].floats()) {
                power += f64::from(*y).powi(2);
                noise += (f64::from(*y) - f64::from(other)).powi(2);
            }
        }
        if noise == 0.0 { f64::INFINITY } else { 10.0 * (power / noise).log10() }
    };
    (0..outputs).map(of_output).collect()
}

/// An output that is an input or a state, or another output once more, becomes a copy: it has memory of
/// its own.
fn give_outputs_memory(graph: &mut Graph) -> Result<(), BuildError> {
    for position in 0..graph.outputs.len() {
        let id = graph.outputs[position];
        if graph.is_constant(id) {
            return Err(BuildError::ConstantOutput { output: position });
        }
        let has_memory = graph.inputs.contains(&id) || graph.state(id).is_some();
        if has_memory || graph.outputs[..position].contains(&id) {
            let none = PadParams { before: [0; MAX_RANK], after: [0; MAX_RANK], value: 0.0 };
            let copy = graph
                .add_node(&graph.tensor(id).name.clone(), OpCode::Pad, none, &[id])
                .map_err(|_| BuildError::ConstantOutput { output: position })?;
            graph.tensors[copy.0].quant = graph.quant(id).cloned();
            graph.outputs[position] = copy;
        }
    }
    Ok(())
}

/// Loads a file with these kernels and runs its goldens.
///
/// # Errors
/// If it does not load, or diverges: then the layer of the step that first does.
pub fn check(model: &Model<'_>, kernels: &[Kernel]) -> Result<Checked, BuildError> {
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(model))];
    let mut session =
        Session::load(*model, kernels, Block::bytes_mut(&mut memory)).map_err(BuildError::Load)?;
    session.check_goldens().map_err(|divergence| {
        let step = match divergence {
            Divergence::Element { step, .. }
            | Divergence::Sum { step, .. }
            | Divergence::Digest { step, .. } => Some(step),
            Divergence::Output { .. } | Divergence::OutputByte { .. } | Divergence::Run(_) => None,
        };
        let layer = step.and_then(|step| model.step_name(step)).map(str::to_owned);
        BuildError::Diverges { divergence, layer }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Data;
    use bytemuck::Pod;
    use flatpack_format::ops::Clamp;
    use flatpack_format::ops::average_pool_2d::Pool2dParams;
    use flatpack_format::ops::broadcast_to::BroadcastToParams;
    use flatpack_format::ops::conv_2d::Conv2dParams;
    use flatpack_format::ops::recurrence::Recurrence;
    use flatpack_format::ops::transpose_conv_2d::TransposeConv2dParams;
    use flatpack_format::ops::unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams;
    use flatpack_format::{OpCode, Shape};

    /// Builds one operator on an input, and constants of ones and states of zeros of these shapes.
    fn built<P: Pod>(
        op: OpCode,
        params: P,
        x: &[u32],
        constants: &[&[u32]],
        states: &[&[u32]],
    ) -> Result<Built, BuildError> {
        let mut graph = Graph::default();
        let mut inputs = vec![graph.add_input("x", Shape::new(x).unwrap())];
        let len = |dims: &[u32]| dims.iter().product::<u32>() as usize;
        inputs.extend(constants.iter().map(|dims| graph.add_constant("w", dims, vec![1.0; len(dims)])));
        for dims in states {
            inputs.push(graph.add_state("state", dims, Data::F32(vec![0.0; len(dims)].into()), None));
        }
        let y = graph.add_node("y", op, params, &inputs).unwrap();
        graph.outputs.push(y);
        build(graph, &Options::default())
    }

    #[test]
    fn what_takes_tract_more_memory_than_it_makes_is_refused() {
        let of_pool = |window: u32| {
            let pad = [(window - 4) / 2, window - 4 - (window - 4) / 2];
            let (pad_h, pad_w, clamp) = (pad, pad, Clamp::NONE);
            let params = Pool2dParams { window: [window; 2], stride: [1, 1], pad_h, pad_w, clamp };
            built(OpCode::MaxPool2d, params, &[1, 4, 4, 1], &[], &[])
        };
        let of_stride = |stride: u32, crop: u32| {
            let (dilation, crop, output) = ([1, 1], [crop; 2], [4, 4]);
            let params =
                TransposeConv2dParams { stride: [stride; 2], dilation, crop, output, clamp: Clamp::NONE };
            built(OpCode::TransposeConv2d, params, &[1, 2, 2, 1], &[&[1, 2, 2, 1]], &[])
        };
        let of_time = |time: u32| {
            let params =
                UnidirectionalSequenceLstmParams { walk: Recurrence::PLAIN, cell_clip: f32::INFINITY };
            let (constants, states) = ([&[4, 1, 1][..], &[4, 1, 1], &[4, 1]], [&[1, 1][..], &[1, 1]]);
            built(OpCode::UnidirectionalSequenceLstm, params, &[1, time, 1], &constants, &states)
        };
        assert!(of_pool(40).is_ok() && of_stride(3, 1).is_ok() && of_time(1 << 13).is_ok());
        let refused = [of_pool(30_000), of_stride(1 << 20, 0), of_stride(1, 1 << 28)].map(Result::err);
        for error in refused {
            assert!(matches!(error, Some(BuildError::Reference(_))), "{error:?}");
        }
    }

    #[test]
    fn only_gateways_have_convolutions_of_one_pixel_as_fully_connected_layers() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 1, 1, 3]).unwrap());
        let w = graph.add_constant("w", &[2, 1, 1, 3], vec![1.0; 6]);
        let y = graph.add_node("y", OpCode::Conv2d, Conv2dParams::POINTS, &[x, w]).unwrap();
        graph.outputs.push(y);
        for (target, op) in [
            (Target::Linux, OpCode::FullyConnected),
            (Target::Portable, OpCode::Conv2d),
            (Target::CortexM, OpCode::Conv2d),
        ] {
            let built = build(graph.clone(), &Options { target, ..Options::default() }).unwrap();
            assert_eq!(built.plan.steps[0].op, op, "{target:?}");
        }
    }

    #[test]
    fn a_graph_that_no_reference_can_hold_is_refused_before_anything_is_computed() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1]).unwrap());
        let large = BroadcastToParams::new(&Shape::new(&[1 << 28]).unwrap());
        let y = graph.add_node("y", OpCode::BroadcastTo, large, &[x]).unwrap();
        graph.outputs.push(y);
        let refused = build(graph.clone(), &Options::default()).unwrap_err();
        let expected = (1 << 28) + 1;
        assert!(matches!(refused, BuildError::TooLarge { elements } if elements == expected), "{refused}");
        assert!(matches!(prepare(&mut graph), Err(BuildError::TooLarge { .. })));
    }
}
