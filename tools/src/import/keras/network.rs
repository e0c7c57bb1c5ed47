//! The neutral description of a Keras model: layers, calls between them, weights.
//!
//! Whatever version of Keras wrote the file, names, keywords and call conventions here are those of
//! Keras 3.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use super::layer_config::Config;
use super::map::Masks;
use crate::array::Array;

/// A model: a Functional graph, or a Sequential one written as the same kind of graph.
#[derive(Clone, Debug)]
pub struct Network {
    /// The model's own name.
    pub name: String,
    /// Every layer once, however often it is called. Input layers (class `InputLayer`) are here too.
    pub layers: Vec<Layer>,
    /// The calls that `outputs` need, each after the calls whose results it takes. Input layers are
    /// never called: their tensors are bound by the caller.
    pub calls: Vec<Call>,
    /// The model's inputs, in the order of the model's arguments.
    pub inputs: Vec<Input>,
    /// The model's outputs, in the order of its results.
    pub outputs: Vec<TensorRef>,
}

impl Network {
    /// The layer that `id` names.
    pub fn layer(&self, id: LayerId) -> &Layer {
        &self.layers[id.0]
    }
}

/// Position of a layer in [`Network::layers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId(pub usize);

/// One input of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The tensor that the caller provides: output 0 of call 0 of an `InputLayer`.
    pub tensor: TensorRef,
    /// The input layer's name.
    pub name: String,
    /// Batch first, unknown extents `None`. `None` when the file does not say: a nested Sequential
    /// model takes whatever shape it is called with.
    pub shape: Option<Vec<Option<usize>>>,
    /// Element type in Keras' spelling, such as `float32` or `int32`.
    pub dtype: String,
}

/// One layer, with its weights.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name, unique within its network.
    pub name: String,
    /// Its class as Keras 3 spells it (`Conv2D`, also where the file says `Convolution2D`). An
    /// operation of the functional graph has the class of its Keras 3 operation (`Multiply`,
    /// `GetItem`, …) and [`Layer::is_operation`] set.
    pub class: String,
    /// A bare operation (`x * 2`) and not a layer: its call takes the operation's own arguments,
    /// where a merging layer of the same class takes one list.
    pub is_operation: bool,
    /// Its class in the file, where a map put another in its place.
    pub mapped_class: Option<String>,
    /// The Python module of the class, where the file says so.
    pub module: Option<String>,
    /// The name a custom class was registered under, such as `my_package>MyLayer`.
    pub registered_name: Option<String>,
    /// The layer's arguments in Keras 3 spelling.
    pub config: Config,
    /// What the layer holds inside.
    pub inner: Inner,
    /// Its arrays in the order of Keras' `layer.weights`: trainable ones first (kernel, bias; gamma,
    /// beta, then moving_mean, moving_variance). Empty where [`Layer::inner`] holds them.
    pub weights: Vec<Weight>,
}

/// What a layer holds inside.
#[derive(Clone, Debug)]
pub enum Inner {
    /// Nothing: an ordinary layer.
    None,
    /// A nested model (class `Functional` or `Sequential`). Calling the layer calls the model.
    Network(Box<Network>),
    /// Wrapped layers: the one of `TimeDistributed`; forward then backward of `Bidirectional`; the
    /// cells of `RNN`. The weights are in the wrapped layers.
    Layers(Vec<Layer>),
    /// What a map has in place of the layer. Calling the layer calls it.
    Mapped {
        /// What it computes.
        network: Box<Network>,
        /// What becomes of masks that come to it; without it, they are refused.
        masks: Option<Masks>,
    },
    /// Nothing: the layer is an array that a map names, its one weight, and takes no tensor.
    Weight,
}

impl Inner {
    /// Whether there are no layers inside: the layer's weights are its own.
    pub fn is_leaf(&self) -> bool {
        matches!(self, Inner::None | Inner::Weight)
    }

    /// The layers inside.
    pub fn layers(&self) -> &[Layer] {
        match self {
            Inner::None | Inner::Weight => &[],
            Inner::Network(network) | Inner::Mapped { network, .. } => &network.layers,
            Inner::Layers(layers) => layers,
        }
    }

    pub(super) fn layers_mut(&mut self) -> &mut [Layer] {
        match self {
            Inner::None | Inner::Weight => &mut [],
            Inner::Network(network) | Inner::Mapped { network, .. } => &mut network.layers,
            Inner::Layers(layers) => layers,
        }
    }
}

/// A weight of a layer.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Its name as the file has it, such as `dense/kernel:0` or `dense_1_W`.
    pub name: String,
    /// Its values.
    pub array: Arc<Array>,
}

/// One call of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The layer called.
    pub layer: LayerId,
    /// Which call of this layer it is, from 0: a shared layer has several.
    pub node: usize,
    /// Positional arguments. A layer that takes several tensors (`Add`, `Concatenate`) gets one
    /// [`Arg::List`].
    pub args: Vec<Arg>,
    /// Keyword arguments, such as `initial_state`, `mask`, `value`; null ones are left out.
    pub kwargs: Vec<(String, Arg)>,
}

impl Call {
    /// The argument that Python's signature has at `position` under `name`.
    pub fn argument(&self, position: usize, name: &str) -> Option<&Arg> {
        self.args.get(position).or_else(|| self.kwarg(name))
    }

    /// The keyword argument called `name`.
    pub fn kwarg(&self, name: &str) -> Option<&Arg> {
        self.kwargs.iter().find(|(key, _)| key == name).map(|(_, arg)| arg)
    }

    /// Every tensor among the arguments, in the order they are written.
    pub fn tensors(&self) -> Vec<TensorRef> {
        let mut found = Vec::new();
        for arg in self.args.iter().chain(self.kwargs.iter().map(|(_, arg)| arg)) {
            arg.collect_tensors(&mut found);
        }
        found
    }
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// A tensor computed by another call, or an input.
    Tensor(TensorRef),
    /// A number, string, boolean, null, or a (nested) list of those.
    Constant(Value),
    /// A list or tuple with at least one element that is no plain constant.
    List(Vec<Arg>),
    /// Named values with at least one that is no plain constant.
    Dict(Vec<(String, Arg)>),
    /// Python's `start:stop:step`.
    Slice {
        /// First index, or none.
        start: Box<Arg>,
        /// Index after the last, or none.
        stop: Box<Arg>,
        /// Stride, or none.
        step: Box<Arg>,
    },
    /// Python's `...`.
    Ellipsis,
}

impl Arg {
    fn collect_tensors(&self, found: &mut Vec<TensorRef>) {
        match self {
            Arg::Tensor(tensor) => found.push(*tensor),
            Arg::List(args) => args.iter().for_each(|arg| arg.collect_tensors(found)),
            Arg::Dict(args) => args.iter().for_each(|(_, arg)| arg.collect_tensors(found)),
            Arg::Slice { start, stop, step } => {
                [start, stop, step].into_iter().for_each(|arg| arg.collect_tensors(found));
            }
            Arg::Constant(_) | Arg::Ellipsis => {}
        }
    }

    /// The tensor, where the argument is one.
    pub fn as_tensor(&self) -> Option<TensorRef> {
        match self {
            Arg::Tensor(tensor) => Some(*tensor),
            _ => None,
        }
    }
}

/// A result of a call: output number `tensor` of call number `node` of `layer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorRef {
    /// The layer that was called.
    pub layer: LayerId,
    /// Which of its calls ([`Call::node`]).
    pub node: usize,
    /// Which of its results.
    pub tensor: usize,
}

impl fmt::Display for TensorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layer {} call {} result {}", self.layer.0, self.node, self.tensor)
    }
}
