//! From a function of a SavedModel to a [`Graph`].
//!
//! A function is a graph of nodes that call others. Only what its outputs need is looked at, in order; what
//! follows from weights and shapes alone is computed on the way (`shape`, `reshape`, the factors of a batch
//! normalisation taken apart), and the rest becomes what Keras' own operations become. Loops whose condition
//! is known are walked as often as they run.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use super::known::Known;
use super::objects::{Objects, ROOT};
use super::operators::{self, Phases};
use super::proto::{FunctionDef, NodeDef};
use super::{SavedModel, damage};
use crate::graph::{Graph, TensorId};
use crate::import::keras::{Lowering as Builder, Options, Weight};
use crate::import::{Fault, ImportError};

/// The deepest nesting of functions.
const MAX_DEPTH: usize = 64;

/// The most nodes, each counted as often as it is looked at.
const MAX_NODES: usize = 1 << 20;

/// The signature that `model.export` and `model.save` write.
const SERVING: &str = "serving_default";

/// What a tensor of the function is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A tensor of the graph.
    Tensor(TensorId),
    /// Known now.
    Known(Rc<Known>),
    /// A variable, by its number among the objects.
    Variable(usize),
    /// Texts: the decimal digits of the integers in a tensor.
    Digits(TensorId),
    /// A list: the rows of a tensor.
    Rows(TensorId),
    /// A batch of every d-th element.
    Phases(Phases),
    /// A list of tensors, as loops fill.
    List(Rc<Vec<Option<Value>>>),
}

/// Lowers the function that a signature names.
pub(crate) fn lower(file: &Path, saved: &SavedModel<'_>, options: &Options) -> Result<Graph, ImportError> {
    let at = |fault| ImportError::in_file(file, fault);
    let objects = Objects::of(saved).map_err(at)?;
    let library = saved.meta_graph.graph.as_ref().and_then(|graph| graph.library.as_ref());
    let functions = library.map(|library| library.functions.as_slice()).unwrap_or_default();
    let named =
        functions.iter().filter_map(|function| Some((function.signature.as_ref()?.name.as_str(), function)));
    let name = options.signature.as_deref().unwrap_or(SERVING);
    let mut lowering = Lowering {
        objects: &objects,
        functions: named.collect(),
        builder: Builder::foreign(name),
        variables: HashMap::new(),
        kept: Vec::new(),
        nodes_seen: 0,
        depth: 0,
    };
    let outputs = lowering.signature(saved, name, options);
    match outputs {
        Ok(outputs) => Ok(lowering.builder.into_graph(outputs)),
        Err(fault) => Err(match lowering.builder.entered() {
            Some((layer, class)) if !layer.is_empty() => ImportError::in_layer(file, layer, class, fault),
            _ => at(fault),
        }),
    }
}

pub(super) struct Lowering<'s, 'f> {
    objects: &'s Objects<'s, 'f>,
    functions: HashMap<&'s str, &'s FunctionDef>,
    pub(super) builder: Builder,
    /// Variables that were read.
    variables: HashMap<usize, Rc<Known>>,
    /// What became a constant: the builder knows arrays by their addresses.
    kept: Vec<Rc<Known>>,
    nodes_seen: usize,
    depth: usize,
}

/// Values of a function's arguments and nodes.
type Frame<'s> = HashMap<&'s str, Vec<Value>>;

impl<'s> Lowering<'s, '_> {
    fn signature(
        &mut self,
        saved: &'s SavedModel<'_>,
        name: &str,
        options: &Options,
    ) -> Result<Vec<TensorId>, Fault> {
        let objects = self.objects;
        let signatures = objects.child(ROOT, "signatures");
        let function =
            signatures.and_then(|node| objects.child(node, name)).and_then(|node| objects.get(node));
        let Some(bare) = function.and_then(|object| object.bare_function.as_ref()) else {
            let names: Vec<String> = saved
                .meta_graph
                .signatures
                .keys()
                .filter(|key| !key.starts_with("__"))
                .map(|key| format!("`{key}`"))
                .collect();
            return Err(Fault::WrongContent {
                found: format!("a SavedModel with the signatures {}", names.join(", ")),
                expected: "one that is called `serving_default`, or as `--signature` says",
                remedy: "name the signature: `--signature NAME`; older files, of TensorFlow 1, are not read",
            });
        };
        let bound = saved.meta_graph.objects.as_ref().and_then(|graph| graph.functions.get(&bare.function));
        let bound = bound.map(|function| function.bound.as_slice()).unwrap_or_default();
        let signature = saved.meta_graph.signatures.get(name).cloned().unwrap_or_default();
        let definition = self.function(&bare.function)?;
        let args = definition.signature.as_ref().map(|of| of.inputs.as_slice()).unwrap_or_default();
        let given = args.len().checked_sub(bound.len());
        let given = given.ok_or_else(|| damage(format!("`{}` has too few arguments", bare.function)))?;
        for (unknown, _) in &options.input_shapes {
            if !args[..given].iter().any(|arg| arg.name == *unknown) {
                let names: Vec<&str> = args[..given].iter().map(|arg| arg.name.as_str()).collect();
                return Err(Fault::Unexpected {
                    place: "`--input-shape`".into(),
                    found: format!("`{unknown}`"),
                    expected: format!("an input of the signature: {}", names.join(", ")),
                });
            }
        }
        let mut values = Vec::with_capacity(args.len());
        for arg in &args[..given] {
            let known = signature.inputs.get(&arg.name).and_then(|info| info.shape.as_ref());
            let known = known
                .filter(|shape| !shape.unknown_rank)
                .map(|shape| shape.dims.iter().map(|dim| usize::try_from(dim.size).ok()).collect::<Vec<_>>());
            let shape = Builder::input_shape(&arg.name, known, options)?;
            values.push(Value::Tensor(self.builder.graph.add_input(&arg.name, shape)));
        }
        for &node in bound {
            let node = usize::try_from(node).unwrap_or(usize::MAX);
            let object = objects.get(node).ok_or_else(|| damage(format!("there is no object {node}")))?;
            if let Some(constant) = &object.constant {
                values.push(Value::Known(constant_of(saved, &constant.node)?));
                continue;
            }
            if object.variable.is_none() {
                return Err(Fault::Unsupported {
                    what: "a signature that reads something else than variables, such as a vocabulary in a file,".into(),
                    remedy: "save the model with `model.save(\"model.keras\")` if it looks up integers; texts are to be \
                             looked up where the model is used"
                        .into(),
                });
            }
            values.push(Value::Variable(node));
        }
        let results = self.call(&bare.function, values)?;
        let names = definition.signature.as_ref().map(|of| of.outputs.as_slice()).unwrap_or_default();
        let mut named: Vec<(&str, Value)> =
            names.iter().map(|output| output.name.as_str()).zip(results).collect();
        // TensorFlow sorts names as text: `output_10` before `output_2`.
        let number = |name: &str| name.rsplit_once('_').and_then(|(_, number)| number.parse::<u64>().ok());
        if named.iter().all(|(name, _)| number(name).is_some()) {
            named.sort_by_key(|(name, _)| number(name));
        }
        named.into_iter().map(|(_, value)| self.tensor(&value)).collect()
    }

    pub(super) fn function(&self, name: &str) -> Result<&'s FunctionDef, Fault> {
        self.functions.get(name).copied().ok_or_else(|| damage(format!("there is no function `{name}`")))
    }

    /// What a function gives.
    pub(super) fn call(&mut self, name: &str, args: Vec<Value>) -> Result<Vec<Value>, Fault> {
        let function = self.function(name)?;
        if self.depth == MAX_DEPTH {
            return Err(Fault::Limit {
                what: "the nesting of functions",
                found: self.depth as u64 + 1,
                limit: MAX_DEPTH as u64,
            });
        }
        let signature = function.signature.as_ref();
        let inputs = signature.map(|of| of.inputs.as_slice()).unwrap_or_default();
        if inputs.len() != args.len() {
            return Err(damage(format!("`{name}` has {} arguments and gets {}", inputs.len(), args.len())));
        }
        self.depth += 1;
        let mut frame: Frame<'s> =
            inputs.iter().zip(args).map(|(input, value)| (input.name.as_str(), vec![value])).collect();
        let outputs = signature.map(|of| of.outputs.as_slice()).unwrap_or_default();
        let mut wanted = Vec::with_capacity(outputs.len());
        for output in outputs {
            let from = function.ret.get(&output.name);
            wanted.push(
                from.ok_or_else(|| damage(format!("`{name}` does not give `{}`", output.name)))?.as_str(),
            );
        }
        for node in needed(function, &wanted)? {
            self.nodes_seen += 1;
            if self.nodes_seen > MAX_NODES {
                return Err(Fault::Limit {
                    what: "the number of nodes, with those of loops as often as they run,",
                    found: self.nodes_seen as u64,
                    limit: MAX_NODES as u64,
                });
            }
            let inputs = node.inputs.iter().filter(|input| !input.starts_with('^'));
            let inputs = inputs.map(|input| value(&frame, input)).collect::<Result<Vec<_>, _>>()?;
            if !operators::calls(&node.op) {
                self.builder.enter(layer_name(&node.name), &node.op);
            }
            let made = operators::evaluate(self, node, inputs)?;
            frame.insert(&node.name, made);
        }
        self.depth -= 1;
        wanted.into_iter().map(|from| value(&frame, from)).collect()
    }

    /// The value as a tensor of the graph.
    pub(super) fn tensor(&mut self, value: &Value) -> Result<TensorId, Fault> {
        match value {
            Value::Tensor(tensor) => Ok(*tensor),
            Value::Known(known) => {
                if let Some(made) = known.made.get() {
                    return Ok(made);
                }
                let weight = self.weight(known);
                let made = self.builder.weight(&weight)?;
                known.made.set(Some(made));
                Ok(made)
            }
            Value::Phases(phases) => phases.apart(self),
            Value::Variable(_) | Value::Digits(_) | Value::Rows(_) | Value::List(_) => {
                Err(Fault::Unsupported {
                    what: "a variable, a text or a list where a tensor is expected".into(),
                    remedy: "export a signature that takes and gives tensors".into(),
                })
            }
        }
    }

    /// What is known, as a weight of a layer.
    pub(super) fn weight(&mut self, known: &Rc<Known>) -> Weight {
        self.kept.push(known.clone());
        known.weight()
    }

    /// The value of a variable.
    pub(super) fn variable(&mut self, node: usize) -> Result<Rc<Known>, Fault> {
        if let Some(known) = self.variables.get(&node) {
            return Ok(known.clone());
        }
        let name = self.objects.variable_name(node).unwrap_or_default();
        let known = Known::of_numbers(name, self.objects.value(node)?);
        self.variables.insert(node, known.clone());
        Ok(known)
    }
}

/// The value of a node outside of all functions, as of what a layer learned from data.
fn constant_of(saved: &SavedModel<'_>, name: &str) -> Result<Rc<Known>, Fault> {
    let nodes = saved.meta_graph.graph.as_ref().map(|graph| graph.nodes.as_slice()).unwrap_or_default();
    let tensor = nodes.iter().find(|node| node.name == name).and_then(|node| node.tensor("value"));
    Known::of_proto(name, tensor.ok_or_else(|| damage(format!("there is no constant `{name}`")))?)
}

/// The layer of a node, as Keras names nodes by layers: `dense_1` of `dense_1/MatMul`.
pub(super) fn layer_name(node: &str) -> &str {
    node.rsplit_once('/').map_or(node, |(layer, _)| layer)
}

/// A node's name in `node:output:0`, and which of its outputs.
pub(super) fn split_name(input: &str) -> (&str, &str, usize) {
    let mut parts = input.split(':');
    let name = parts.next().unwrap_or_default();
    match (parts.next(), parts.next()) {
        (Some(output), Some(number)) => (name, output, number.parse().unwrap_or(0)),
        (Some(number), None) => (name, "", number.parse().unwrap_or(0)),
        _ => (name, "", 0),
    }
}

fn value(frame: &Frame<'_>, input: &str) -> Result<Value, Fault> {
    let (name, output, number) = split_name(input);
    let values = frame.get(name).ok_or_else(|| damage(format!("there is no node `{name}`")))?;
    // Of what has outputs of several names, the first alone is made.
    let is_other = matches!(output, "batch_mean" | "batch_variance" | "reserve_space_1" | "reserve_space_2");
    let found = values.get(number).filter(|_| !is_other);
    found.cloned().ok_or_else(|| Fault::Unsupported {
        what: format!("the result `{input}`"),
        remedy: "export the model for inference, as `model.export` does".into(),
    })
}

/// The nodes that some results need, each after those that it needs.
pub(super) fn needed<'s>(function: &'s FunctionDef, wanted: &[&str]) -> Result<Vec<&'s NodeDef>, Fault> {
    let nodes: HashMap<&str, &NodeDef> =
        function.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    /// Whether a node's inputs are waiting, or all are there.
    #[derive(PartialEq)]
    enum Mark {
        Open,
        Done,
    }
    let mut marks: HashMap<&str, Mark> = HashMap::new();
    let mut order = Vec::new();
    let mut stack: Vec<&NodeDef> = Vec::new();
    for name in wanted {
        stack.extend(nodes.get(split_name(name).0));
        while let Some(&node) = stack.last() {
            match marks.get(node.name.as_str()) {
                Some(Mark::Done) => drop(stack.pop()),
                Some(Mark::Open) => {
                    marks.insert(&node.name, Mark::Done);
                    order.push(node);
                    stack.pop();
                }
                None => {
                    marks.insert(&node.name, Mark::Open);
                    let inputs = node.inputs.iter().filter(|input| !input.starts_with('^'));
                    for input in inputs.filter_map(|input| nodes.get(split_name(input).0)) {
                        match marks.get(input.name.as_str()) {
                            None => stack.push(input),
                            Some(Mark::Done) => {}
                            Some(Mark::Open) => {
                                return Err(damage(format!("`{}` needs its own result", input.name)));
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(order)
}
