//! Random graphs of convolutions, pools, additions and dense layers on 8-bit integers: what the
//! kernels compute is what naive formulas in 64 bits say, tensor by tensor and bit by bit.

use flatpack::build::{self, BuildError, Built, Goldens, Options};
use flatpack::exact::{self, Values};
use flatpack::graph::{Data, Graph, TensorId};
use flatpack::passes::lower_integers;
use flatpack::passes::patches::PatchError;
use flatpack::quant::Quant;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::average_pool_2d::Pool2dParams;
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::ops::conv_2d::Conv2dParams;
use flatpack_format::ops::depthwise_conv_2d::DepthwiseConv2dParams;
use flatpack_format::ops::fully_connected::FullyConnectedParams;
use flatpack_format::ops::reshape::ReshapeParams;
use flatpack_format::{Block, DType, Model, OpCode, Shape};
use flatpack_runtime::{Session, ops};
use proptest::prelude::*;
use std::ops::RangeInclusive;

/// Numbers that look random, from a seed.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn from(&mut self, range: RangeInclusive<i64>) -> i64 {
        range.start() + (self.next() % (range.end() - range.start() + 1) as u64) as i64
    }

    fn size(&mut self, range: RangeInclusive<i64>) -> u32 {
        self.from(range) as u32
    }

    /// From `low` to `high`, even on a logarithmic scale.
    fn scale(&mut self, low: f64, high: f64) -> f32 {
        let at = self.from(0..=1000) as f64 / 1000.0;
        (low.ln() + (high / low).ln() * at).exp() as f32
    }

    /// Any zero point, often one at an end of the range.
    fn activation(&mut self) -> Quant {
        let zero_point = [-128, 0, 127, self.from(-128..=127) as i32][self.size(0..=3) as usize];
        Quant::per_tensor(DType::I8, self.scale(0.01, 0.3), zero_point)
    }

    fn clamp(&mut self) -> Clamp {
        let bounds = [(f32::NEG_INFINITY, f32::INFINITY), (0.0, f32::INFINITY), (0.0, 6.0), (-1.0, 1.0)];
        let (min, max) = bounds[self.size(0..=3) as usize];
        Clamp { min, max }
    }
}

struct Build {
    draw: Draw,
    graph: Graph,
    /// Images, with their extents.
    images: Vec<(TensorId, [u32; 4])>,
}

impl Build {
    /// An input image of these heights, widths and channels.
    fn new(seed: u64, [h, w, c]: [RangeInclusive<i64>; 3]) -> Self {
        let mut build = Self { draw: Draw(seed), graph: Graph::default(), images: Vec::new() };
        let dims = [1, build.draw.size(h), build.draw.size(w), build.draw.size(c)];
        let x = build.graph.add_input("x", Shape::new(&dims).expect("four dimensions"));
        let quant = build.draw.activation();
        build.quantised(x, quant);
        build.images.push((x, dims));
        build
    }

    fn dims(&self, id: TensorId) -> [u32; 4] {
        self.graph.dims(id).try_into().expect("an image")
    }

    fn quantised(&mut self, id: TensorId, quant: Quant) -> TensorId {
        self.graph.tensors[id.0].quant = Some(quant);
        id
    }

    /// Weights of `outputs` along `axis`, and a bias that half the layers have.
    fn weights(&mut self, dims: &[u32], axis: usize, x: TensorId) -> Vec<TensorId> {
        let outputs = dims[axis];
        let len = dims.iter().product::<u32>();
        let values: Vec<i8> = (0..len).map(|_| self.draw.from(-127..=127) as i8).collect();
        let one_for_all = self.draw.size(0..=3) == 0;
        let scales = if one_for_all { 1 } else { outputs };
        let scales: Vec<f32> = (0..scales).map(|_| self.draw.scale(0.001, 0.05)).collect();
        let x_scale = self.graph.quant(x).expect("a quantised input").scale();
        let quant = Quant::per_channel(DType::I8, scales.clone(), axis);
        let w = self.graph.add_stored("w", dims, Data::I8(values.into()), Some(quant));
        if self.draw.size(0..=1) == 0 {
            return vec![w];
        }
        let bias: Vec<i32> = (0..outputs).map(|_| self.draw.from(-20_000..=20_000) as i32).collect();
        let scales = scales.iter().map(|scale| scale * x_scale).collect();
        let quant = Quant::per_channel(DType::I32, scales, 0);
        vec![w, self.graph.add_stored("bias", &[outputs], Data::I32(bias.into()), Some(quant))]
    }

    fn window(&mut self, input: u32) -> (u32, u32, [u32; 2]) {
        let taps = self.draw.size(1..=i64::from(input.min(3)));
        let pad = [self.draw.size(0..=i64::from(taps) - 1), self.draw.size(0..=i64::from(taps) - 1)];
        (taps, self.draw.size(1..=2), pad)
    }

    /// A random layer on a random image.
    fn layer(&mut self) {
        let x = self.images[self.draw.next() as usize % self.images.len()];
        self.layer_on(x, 0..=4, 1..=9);
    }

    /// A layer of one of these kinds: a convolution to so many channels, a depthwise one, a pool of either
    /// kind, or an addition.
    fn layer_on(
        &mut self,
        (x, [_, h, w, c]): (TensorId, [u32; 4]),
        kinds: RangeInclusive<i64>,
        outputs: RangeInclusive<i64>,
    ) {
        let ((kh, sh, pad_h), (kw, sw, pad_w)) = (self.window(h), self.window(w));
        let (stride, clamp) = ([sh, sw], self.draw.clamp());
        let y = match self.draw.size(kinds) {
            0 => {
                let outputs = self.draw.size(outputs);
                let operands = [vec![x], self.weights(&[outputs, kh, kw, c], 0, x)].concat();
                let params = Conv2dParams { stride, dilation: [1, 1], pad_h, pad_w, groups: 1, clamp };
                self.graph.add_node("conv", OpCode::Conv2d, params, &operands)
            }
            1 => {
                let outputs = c * self.draw.size(1..=2);
                let operands = [vec![x], self.weights(&[kh, kw, outputs], 2, x)].concat();
                let params = DepthwiseConv2dParams { stride, dilation: [1, 1], pad_h, pad_w, clamp };
                self.graph.add_node("depthwise", OpCode::DepthwiseConv2d, params, &operands)
            }
            pool @ (2 | 3) => {
                let params = Pool2dParams { window: [kh, kw], stride, pad_h, pad_w, clamp };
                let op = if pool == 2 { OpCode::AveragePool2d } else { OpCode::MaxPool2d };
                let y = self.graph.add_node("pool", op, params, &[x]).expect("a window that fits");
                let quant = self.graph.quant(x).expect("a quantised input").clone();
                self.quantised(y, quant);
                self.images.push((y, self.dims(y)));
                return;
            }
            _ => {
                let alike: Vec<TensorId> =
                    self.images.iter().filter(|(_, dims)| *dims == [1, h, w, c]).map(|(id, _)| *id).collect();
                let other = alike[self.draw.next() as usize % alike.len()];
                self.graph.add_node("add", OpCode::Add, BinaryParams { clamp }, &[x, other])
            }
        };
        let y = y.expect("operands that fit");
        let quant = self.draw.activation();
        self.quantised(y, quant);
        self.images.push((y, self.dims(y)));
    }

    /// The graph, with a dense layer on the last image.
    fn classified(mut self) -> Graph {
        let (last, dims) = self.images[self.images.len() - 1];
        let len = dims.iter().product();
        let flat = Shape::new(&[1, len]).expect("two dimensions");
        let reshape = ReshapeParams::new(&flat);
        let flat =
            self.graph.add_node("flatten", OpCode::Reshape, reshape, &[last]).expect("as many elements");
        let quant = self.graph.quant(last).expect("a quantised tensor").clone();
        self.quantised(flat, quant);
        let outputs = self.draw.size(1..=7);
        let operands = [vec![flat], self.weights(&[outputs, len], 0, flat)].concat();
        let params = FullyConnectedParams { clamp: self.draw.clamp() };
        let y = self
            .graph
            .add_node("dense", OpCode::FullyConnected, params, &operands)
            .expect("operands that fit");
        let quant = self.draw.activation();
        self.quantised(y, quant);
        self.graph.outputs.push(y);
        self.graph
    }
}

fn random_graph(seed: u64) -> Graph {
    let mut build = Build::new(seed, [1..=8, 1..=8, 1..=9]);
    for _ in 0..build.draw.size(1..=6) {
        build.layer();
    }
    build.classified()
}

/// A graph whose tensors are largest after the first layer: many channels, then few.
fn random_network(seed: u64) -> Graph {
    let mut build = Build::new(seed, [13..=29, 8..=12, 1..=3]);
    let last = |build: &Build| build.images[build.images.len() - 1];
    build.layer_on(last(&build), 0..=0, 16..=24);
    for _ in 0..build.draw.size(1..=3) {
        build.layer_on(last(&build), 1..=4, 16..=24);
    }
    build.layer_on(last(&build), 0..=0, 1..=4);
    build.classified()
}

/// What the file computes of the first input.
fn computed(built: &Built, x: &[i32]) -> Values {
    let model = Model::parse(built.bytes()).expect("a file that was checked");
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let mut session =
        Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)).expect("a file that was loaded");
    let input = session.input::<i8>(0).expect("signed bytes");
    input.iter_mut().zip(x).for_each(|(to, &from)| *to = from as i8);
    session.run().expect("a loaded file runs");
    Values::Integers(session.output::<i8>(0).expect("signed bytes").iter().map(|&v| v.into()).collect())
}

/// A graph whose operators are those of the file, and an input of the largest and smallest integers.
fn lowered(graph: &Graph, seed: u64) -> (Graph, Vec<i32>) {
    let mut lowered = graph.clone();
    lower_integers::run(&mut lowered).expect("a graph that lowers");
    let mut draw = Draw(!seed);
    let len = lowered.tensor(lowered.inputs[0]).shape().len().expect("a small input");
    let x = (0..len).map(|_| [-128, 127][draw.size(0..=1) as usize]).collect();
    (lowered, x)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn kernels_compute_what_naive_formulas_say(seed: u64) {
        let graph = random_graph(seed);
        // Every step meets the digest of its golden, or the file is not built.
        let options = Options { goldens: Goldens::Predicted(2), strip: true, ..Options::default() };
        let built = build::build(graph.clone(), &options).expect("a file that meets its goldens");

        // And once more beside the goldens: the largest and smallest integers.
        let (lowered, x) = lowered(&graph, seed);
        let wanted = exact::predict(&lowered, &[Values::Integers(x.clone())]).expect("integers alone");
        prop_assert_eq!(computed(&built, &x), wanted[&lowered.outputs[0]].clone());
    }
}

#[test]
fn patches_compute_the_same_bits_in_less_memory() {
    let mut patched = 0;
    for seed in 0..24 {
        let graph = random_network(seed);
        let with = |max_arena| {
            let goldens = Goldens::Predicted(1);
            build::build(graph.clone(), &Options { goldens, max_arena, strip: true, ..Options::default() })
        };
        // No arena at all is never had: what is refused says what is.
        let refused = with(Some(0));
        let Err(BuildError::Patches(PatchError::TooLarge { smallest, .. })) = refused else {
            panic!("seed {seed}: {refused:?}");
        };
        let [plain, least] = smallest.arena_bytes;
        let (lowered, x) = lowered(&graph, seed);
        let wanted = exact::predict(&lowered, &[Values::Integers(x.clone())]).expect("integers alone");
        for wish in [least, (plain + least) / 2] {
            let built = with(Some(wish)).expect("what was promised");
            assert!(built.plan.arena_bytes <= wish, "seed {seed}");
            assert_eq!(computed(&built, &x), wanted[&lowered.outputs[0]], "seed {seed}, {wish} bytes");
            patched += usize::from(built.patches.is_some_and(|patches| patches.bands > 1));
        }
    }
    assert!(patched > 12, "{patched} of 48");
}
