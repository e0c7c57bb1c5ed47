//! From a [`Network`] to a [`Graph`]: layers become operators on tensors of static shape.
//!
//! [`Lowering`] walks the calls in order and knows what each tensor of the network became; what a
//! class of layers becomes is said in [`super::layers`].

mod foreign;
mod inputs;
mod masks;
mod nodes;
mod survey;
#[cfg(test)]
mod tests;
mod weights;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::json::short;
use super::layers::{self, Lower};
use super::map::LayerMap;
use super::network::{Arg, Call, Inner, Input, Layer, LayerId, Network, TensorRef};
use super::saved::Saved;
use super::version::Dialect;
use crate::array::Array;
use crate::graph::{Graph, TensorId};
use crate::import::{Fault, ImportError};
pub(crate) use foreign::Argument;
use inputs::input_shape;

pub(crate) use nodes::{
    constant_array, dims_of, refuse_operators_beyond_limit, size_of_layer, sizes_of_layer,
};
pub(super) use survey::{Reached, survey};
pub(crate) use weights::Weights;

/// The deepest nesting of models and wrapped layers.
const MAX_DEPTH: usize = 32;

/// The most calls of layers, each counted as often as the models around it are called: a model that
/// calls a model twice, which calls another one twice and so on, is small in the file alone.
const MAX_CALLS: usize = 1 << 14;

/// What the file leaves open.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Extent of the first axis of every input. When absent: what the file says, or 1.
    pub batch: Option<usize>,
    /// Extents after the batch, by input name, for inputs whose extents the file leaves open.
    pub input_shapes: Vec<(String, Vec<usize>)>,
    /// The function of a SavedModel that is to be read; by default what Keras describes, or else
    /// `serving_default`.
    pub signature: Option<String>,
    /// What stands in place of layers whose code is not in the file.
    pub map: Option<Arc<LayerMap>>,
}

/// Turns the network of a saved model into a graph.
///
/// # Errors
/// When a layer is not supported, its weights do not fit, or an input's extents are unknown.
pub fn lower(saved: &Saved, network: &Network, options: &Options) -> Result<Graph, ImportError> {
    let dialect = saved.dialect().map_err(|fault| ImportError::in_file(&saved.file, fault))?;
    let is_older = saved.keras_version.is_some_and(|version| (version.major, version.minor) < (3, 8));
    lower_network(&saved.file, dialect, !is_older, network, options)
}

/// `from_3_8`: whether Keras 3 is of version 3.8 or later.
pub(crate) fn lower_network(
    file: &Path,
    dialect: Dialect,
    from_3_8: bool,
    network: &Network,
    options: &Options,
) -> Result<Graph, ImportError> {
    let mut lowering = Lowering::new(&network.name, dialect);
    lowering.attention_takes_masks &= from_3_8;
    match lowering.model(network, options) {
        Ok(()) => Ok(lowering.graph),
        Err(fault) => Err(lowering.locate(file, fault)),
    }
}

/// A graph under construction.
pub(crate) struct Lowering {
    /// What is built so far.
    pub(crate) graph: Graph,
    /// The Keras that wrote the file, where layers of the same arguments differ.
    pub(crate) dialect: Dialect,
    /// Whether `MultiHeadAttention` removes the masks of its inputs, as it does since Keras 3.8.
    attention_takes_masks: bool,
    /// What the tensors of the network in progress became.
    values: HashMap<TensorRef, TensorId>,
    /// Their masks, of those that have one.
    masks: HashMap<TensorRef, TensorId>,
    /// Masks already begun: of which tensor, by which value, along the last axis or not.
    counted: HashMap<(TensorId, u32, bool), TensorId>,
    /// Name and class of the models and layers in progress, outermost first.
    path: Vec<(String, String)>,
    /// Calls lowered so far.
    call_count: usize,
    /// Constants already made: from which arrays, and how.
    constants: HashMap<(Vec<*const Array>, String), TensorId>,
}

impl Lowering {
    pub(crate) fn new(name: &str, dialect: Dialect) -> Self {
        let graph = Graph { name: name.to_owned(), ..Graph::default() };
        Self {
            graph,
            dialect,
            attention_takes_masks: dialect == Dialect::Keras3,
            values: HashMap::new(),
            masks: HashMap::new(),
            counted: HashMap::new(),
            path: Vec::new(),
            call_count: 0,
            constants: HashMap::new(),
        }
    }

    /// Says in which layer a fault is: the one in progress.
    fn locate(&self, file: &Path, fault: Fault) -> ImportError {
        match self.path.last() {
            Some((_, class)) => ImportError::in_layer(file, self.layer_path(), class, fault),
            None => ImportError::in_file(file, fault),
        }
    }

    /// The layer in progress, such as `block/conv`.
    pub(crate) fn layer_path(&self) -> String {
        let names = self.path.iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty());
        names.collect::<Vec<_>>().join("/")
    }

    fn model(&mut self, network: &Network, options: &Options) -> Result<(), Fault> {
        for (name, _) in &options.input_shapes {
            if !network.inputs.iter().any(|input| input.name == *name) {
                let names: Vec<&str> = network.inputs.iter().map(|input| input.name.as_str()).collect();
                return Err(Fault::Unexpected {
                    place: "`--input-shape`".into(),
                    found: format!("`{name}`"),
                    expected: format!("an input of the model: {}", names.join(", ")),
                });
            }
        }
        let mut inputs = Vec::new();
        for input in &network.inputs {
            inputs.push(self.graph.add_input(&input.name, input_shape(input, options)?));
        }
        let outputs = self.network(network, &inputs, &[])?;
        self.graph.outputs = outputs.into_iter().map(|(output, _)| output).collect();
        Ok(())
    }

    /// Runs the calls of a network on these inputs, of which the first have these masks, and gives its outputs with
    /// theirs.
    fn network(
        &mut self,
        network: &Network,
        inputs: &[TensorId],
        masks: &[Option<TensorId>],
    ) -> Result<Vec<(TensorId, Option<TensorId>)>, Fault> {
        if inputs.len() != network.inputs.len() {
            return Err(Fault::Unexpected {
                place: "the call".into(),
                found: format!("{} tensors", inputs.len()),
                expected: format!("{}, one for each input of the model", network.inputs.len()),
            });
        }
        let bound = network.inputs.iter().map(|input| input.tensor).zip(inputs.iter().copied()).collect();
        let masked = network.inputs.iter().zip(masks);
        let bound_masks = masked.filter_map(|(input, mask)| Some((input.tensor, (*mask)?))).collect();
        let outside = std::mem::replace(&mut self.values, bound);
        let masks_outside = std::mem::replace(&mut self.masks, bound_masks);
        for call in &network.calls {
            self.refuse_masks_by_order(network, call)?;
            let results = self.call(network.layer(call.layer), call)?;
            for (tensor, (id, mask)) in results.into_iter().enumerate() {
                let tensor = TensorRef { layer: call.layer, node: call.node, tensor };
                self.values.insert(tensor, id);
                self.masks.extend(mask.map(|mask| (tensor, mask)));
            }
        }
        let output = |&tensor: &TensorRef| Ok((self.value(tensor)?, self.masks.get(&tensor).copied()));
        let outputs = network.outputs.iter().map(output).collect();
        (self.values, self.masks) = (outside, masks_outside);
        outputs
    }

    /// Lowers one call of a layer, and gives its results with their masks.
    fn call(&mut self, layer: &Layer, call: &Call) -> Result<Vec<(TensorId, Option<TensorId>)>, Fault> {
        self.path.push((layer.name.clone(), layer.class.clone()));
        if self.path.len() > MAX_DEPTH {
            return Err(Fault::Limit {
                what: "the nesting of models",
                found: self.path.len() as u64,
                limit: MAX_DEPTH as u64,
            });
        }
        self.call_count += 1;
        if self.call_count > MAX_CALLS {
            return Err(Fault::Limit {
                what: "the number of layer calls",
                found: self.call_count as u64,
                limit: MAX_CALLS as u64,
            });
        }
        let results = match &layer.inner {
            Inner::Network(network) => {
                refuse_other_arguments(self.dialect, &without_mask(call))?;
                let inputs = self.network_inputs(network, call)?;
                let masks = self.masks_given(call)?;
                self.network(network, &inputs, &masks)?
            }
            Inner::Mapped { network, masks } => {
                refuse_other_arguments(self.dialect, &without_mask(call))?;
                let inputs = self.network_inputs(network, call)?;
                let masks_in = self.masks_given(call)?;
                let first = masks_in.first().copied().flatten();
                let mask = self.mask_behind(*masks, first)?;
                let results = self.network(network, &inputs, &masks_in)?;
                results.into_iter().map(|(result, _)| (result, mask)).collect()
            }
            Inner::Weight => {
                let [weight] = layer.weights.as_slice() else {
                    let found = format!("{} arrays", layer.weights.len());
                    return Err(Fault::Weights { found, expected: "one".into() });
                };
                vec![(self.weight(weight)?, None)]
            }
            Inner::None | Inner::Layers(_) => {
                let results = match layers::lower(layer)? {
                    Lower::Map(map) => {
                        refuse_other_arguments(self.dialect, call)?;
                        let x = self.input(call)?;
                        vec![map(self, layer, x)?]
                    }
                    Lower::Masked(map) => {
                        refuse_other_arguments(self.dialect, &without_mask(call))?;
                        let (x, mask) = (self.input(call)?, self.mask_of(call)?);
                        vec![map(self, layer, x, mask)?]
                    }
                    Lower::Call(lower) => lower(self, layer, call)?,
                };
                let masks = self.masks_after(layer, call)?;
                results.into_iter().zip(masks.into_iter().chain(std::iter::repeat(None))).collect()
            }
        };
        self.path.pop();
        Ok(results)
    }

    /// The tensors that a model is called with, in the order of its inputs.
    fn network_inputs(&self, network: &Network, call: &Call) -> Result<Vec<TensorId>, Fault> {
        let Some(Arg::Dict(named)) = call.args.first() else {
            return self.inputs(call);
        };
        let of = |input: &Input| {
            let tensor =
                named.iter().find(|(name, _)| *name == input.name).and_then(|(_, arg)| arg.as_tensor());
            let missing = || Fault::Unexpected {
                place: "the call".into(),
                found: format!("no tensor named `{}`", input.name),
                expected: "a tensor for each input of the model".into(),
            };
            self.value(tensor.ok_or_else(missing)?)
        };
        network.inputs.iter().map(of).collect()
    }

    /// What `f` does for a layer inside of the one in progress.
    pub(crate) fn within<T>(
        &mut self,
        layer: &Layer,
        f: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.path.push((layer.name.clone(), layer.class.clone()));
        let result = f(self)?;
        self.path.pop();
        Ok(result)
    }

    /// Calls a layer inside of another one, such as that of `TimeDistributed`, on these tensors.
    pub(crate) fn apply(&mut self, layer: &Layer, inputs: &[TensorId]) -> Result<Vec<TensorId>, Fault> {
        let within = |tensor| TensorRef { layer: LayerId(usize::MAX), node: 0, tensor };
        let args: Vec<Arg> = (0..inputs.len()).map(|tensor| Arg::Tensor(within(tensor))).collect();
        let arg = if let [single] = args.as_slice() { single.clone() } else { Arg::List(args) };
        let call = Call { layer: within(0).layer, node: 0, args: vec![arg], kwargs: Vec::new() };
        let bound = inputs.iter().enumerate().map(|(tensor, &id)| (within(tensor), id)).collect();
        self.call_bound(layer, &call, bound)
    }

    /// Lowers a call whose tensors are these.
    fn call_bound(
        &mut self,
        layer: &Layer,
        call: &Call,
        bound: HashMap<TensorRef, TensorId>,
    ) -> Result<Vec<TensorId>, Fault> {
        let outside = std::mem::replace(&mut self.values, bound);
        let masks_outside = std::mem::take(&mut self.masks);
        let results = self.call(layer, call)?;
        (self.values, self.masks) = (outside, masks_outside);
        Ok(results.into_iter().map(|(result, _)| result).collect())
    }

    /// What a tensor of the network became.
    pub(crate) fn value(&self, tensor: TensorRef) -> Result<TensorId, Fault> {
        self.values.get(&tensor).copied().ok_or_else(|| Fault::Unexpected {
            place: "the call".into(),
            found: format!("{tensor}"),
            expected: "a tensor that an earlier call computes".into(),
        })
    }

    /// The one tensor that a layer is called with.
    pub(crate) fn input(&self, call: &Call) -> Result<TensorId, Fault> {
        match self.inputs(call)?.as_slice() {
            [single] => Ok(*single),
            several => Err(Fault::Unexpected {
                place: "the call".into(),
                found: format!("{} tensors", several.len()),
                expected: "one tensor".into(),
            }),
        }
    }

    /// The tensors in the first argument of a call: one, or a list.
    pub(crate) fn inputs(&self, call: &Call) -> Result<Vec<TensorId>, Fault> {
        let wrong = |found: String| Fault::Unexpected {
            place: "the call".into(),
            found,
            expected: "a tensor or a list of tensors as first argument".into(),
        };
        let tensor = |arg: &Arg| match arg {
            Arg::Tensor(tensor) => self.value(*tensor),
            other => Err(wrong(describe(other))),
        };
        match call.args.first().or_else(|| call.kwarg("inputs")) {
            Some(Arg::List(args)) => args.iter().map(tensor).collect(),
            Some(arg) => Ok(vec![tensor(arg)?]),
            None => Err(wrong("no argument".into())),
        }
    }

    /// An argument as a tensor: what it became, or a constant for a number or a list of numbers.
    pub(crate) fn operand(&mut self, arg: &Arg) -> Result<TensorId, Fault> {
        match arg {
            Arg::Tensor(tensor) => self.value(*tensor),
            Arg::Constant(value) => {
                let array = constant_array(value)?;
                Ok(self.constant("constant", &dims_of(&array.shape)?, array.values))
            }
            other => Err(Fault::Unexpected {
                place: "the call".into(),
                found: describe(other),
                expected: "a tensor or a number".into(),
            }),
        }
    }
}

/// The call without its mask.
fn without_mask(call: &Call) -> Call {
    let kwargs = call.kwargs.iter().filter(|(name, _)| name != "mask").cloned().collect();
    Call { kwargs, ..call.clone() }
}

/// Refuses a call with more than a first argument, as far as that could change the result.
pub(crate) fn refuse_other_arguments(dialect: Dialect, call: &Call) -> Result<(), Fault> {
    for (name, arg) in &call.kwargs {
        match (name.as_str(), arg) {
            ("inputs", _) | (_, Arg::Constant(Value::Null | Value::Bool(false))) => {}
            // No mask for any of several tensors.
            ("mask", Arg::Constant(Value::Array(masks))) if masks.iter().all(Value::is_null) => {}
            // The `predict` of Keras 3 has the last word; some of its layers are stored like this always.
            ("training", _) if dialect == Dialect::Keras3 => {}
            ("training", _) => {
                return Err(Fault::Unsupported {
                    what: "a layer called with `training=True`, which computes as in training,".into(),
                    remedy: "build the model again without `training=True`, copy the weights with `set_weights` and save it".into(),
                });
            }
            (name, arg) => {
                return Err(Fault::Unsupported {
                    what: format!("the argument `{name}` ({})", describe(arg)),
                    remedy: "build the model without it, copy the weights with `set_weights` and save it"
                        .into(),
                });
            }
        }
    }
    Ok(())
}

/// An argument in words.
pub(crate) fn describe(arg: &Arg) -> String {
    match arg {
        Arg::Tensor(_) => "a tensor".into(),
        Arg::Constant(value) => short(value),
        Arg::List(args) => format!("a list of {}", args.len()),
        Arg::Dict(args) => format!("a dictionary of {}", args.len()),
        Arg::Slice { .. } => "a slice".into(),
        Arg::Ellipsis => "an ellipsis".into(),
    }
}
