//! From a [`Model`] to a [`Graph`]: operators on tensors of static shape.
//!
//! The graph is one of reals, whatever the file computes with: a tensor of integers is annotated with
//! what they stand for, a constant keeps the integers it has. [`Lowering`] walks the operators in
//! order and knows what each tensor became; what an operator becomes is said in [`super::operators`].
//! Arithmetic on shapes is carried out here, in [`statics`].

mod constants;
mod moves;
mod nodes;
mod slices;
mod states;
pub(super) mod statics;
mod survey;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use flatpack_format::Shape;

use super::model::{ElementType, Model, Operator, OperatorCode, Subgraph, Tensor};
use super::operators;
use crate::graph::{Data, Graph, TensorId};
use crate::import::{Fault, ImportError};
pub(super) use nodes::{axis_of, clamp};
pub(super) use slices::Taken;
pub(super) use statics::Integers;
pub(super) use survey::survey;

/// The most values of shape arithmetic and of constants that are described by their shape, all of them
/// together, each as often as it is used.
const MAX_VALUES: usize = 1 << 22;

/// Turns the first graph of a model into a graph of operators.
///
/// # Errors
/// When an operator is not supported, its tensors do not fit it, or an extent is unknown.
pub(super) fn lower(file: &Path, name: &str, model: &Model<'_>) -> Result<Graph, ImportError> {
    let Some(subgraph) = model.subgraphs.first() else {
        return Err(ImportError::in_file(file, misfit("the model", "no graph", "one graph")));
    };
    let mut lowering = Lowering::new(name, model, subgraph);
    let signature = model.signatures.iter().find(|signature| signature.subgraph == 0);
    let named = |tensor: usize, names: Option<&[(String, usize)]>| {
        let named = names.into_iter().flatten().find(|(_, of)| *of == tensor);
        named.map_or(&subgraph.tensors[tensor].name, |(name, _)| name).clone()
    };
    for &input in &subgraph.inputs {
        let name = named(input, signature.map(|signature| signature.inputs.as_slice()));
        lowering.input(&name, input).map_err(|fault| ImportError::in_file(file, fault))?;
    }
    for (number, operator) in subgraph.operators.iter().enumerate() {
        lowering.operator(operator).map_err(|fault| lowering.locate(file, number, operator, fault))?;
    }
    for &output in &subgraph.outputs {
        let id = lowering.tensor(output).map_err(|fault| ImportError::in_file(file, fault))?;
        lowering.graph.outputs.push(id);
    }
    lowering.finish_variables();
    Ok(lowering.graph)
}

/// What a tensor of the file became.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A tensor of the graph.
    Tensor(TensorId),
    /// Integers that are known here: shapes, axes, positions.
    Integers(Rc<Integers>),
    /// A variable, by its number.
    Variable(usize),
}

/// A graph under construction.
pub(super) struct Lowering<'m, 'a> {
    /// What is built so far.
    pub(super) graph: Graph,
    /// The model.
    pub(super) model: &'m Model<'a>,
    /// The variables that were named so far.
    pub(super) variables: Vec<states::Variable>,
    subgraph: &'m Subgraph<'a>,
    /// What each tensor became, as far as it is computed or was asked for.
    values: Vec<Option<Value>>,
    /// Elements of constants, by where they are in the file: several tensors may share them.
    data: HashMap<(*const u8, usize, u8), Data>,
    /// Constants in another shape than the file has them, by tensor.
    reshaped: HashMap<(usize, Shape), TensorId>,
    /// The name of the layer in progress: that of its output.
    layer: String,
    /// Values of shape arithmetic that may still be computed.
    values_left: usize,
    /// Elements of states and of constants put together that may still be made.
    made_left: usize,
}

impl<'m, 'a> Lowering<'m, 'a> {
    fn new(name: &str, model: &'m Model<'a>, subgraph: &'m Subgraph<'a>) -> Self {
        Self {
            graph: Graph { name: name.to_owned(), ..Graph::default() },
            model,
            variables: Vec::new(),
            subgraph,
            values: vec![None; subgraph.tensors.len()],
            data: HashMap::new(),
            reshaped: HashMap::new(),
            layer: String::new(),
            values_left: MAX_VALUES,
            made_left: states::MAX_MADE,
        }
    }

    /// Says in which operator a fault is.
    fn locate(&self, file: &Path, number: usize, operator: &Operator<'_>, fault: Fault) -> ImportError {
        let class = format!("operator {number}, {}", operator.code.name());
        ImportError::in_layer(file, self.name_of(operator), class, fault)
    }

    /// The name of what an operator computes.
    fn name_of(&self, operator: &Operator<'_>) -> &'m str {
        let first = operator.outputs.first().or(operator.inputs.iter().flatten().next());
        first.map_or("", |&tensor| self.described(tensor).name.as_str())
    }

    /// A tensor as the file describes it.
    pub(super) fn described(&self, tensor: usize) -> &'m Tensor<'a> {
        &self.subgraph.tensors[tensor]
    }

    fn input(&mut self, name: &str, number: usize) -> Result<(), Fault> {
        let tensor = self.described(number);
        let open = tensor.shape_signature.iter().flatten().skip(1).any(|&extent| extent < 0);
        if open || tensor.shape.iter().any(|&extent| extent < 1) {
            let extents = tensor.shape_signature.as_ref().unwrap_or(&tensor.shape);
            return Err(Fault::Unsupported {
                what: format!("the input `{name}` of shape {extents:?}, which leaves extents open,"),
                remedy: "convert the model again with a fixed input shape".into(),
            });
        }
        if self.values[number].is_some() {
            return Err(misfit("the inputs", format!("`{name}` twice"), "different tensors"));
        }
        let shape = self.shape_of(tensor)?;
        self.check_type(tensor)?;
        let id = self.graph.add_input(name, shape);
        self.graph.tensors[id.0].quant = self.quant_of_activation(tensor)?;
        self.values[number] = Some(Value::Tensor(id));
        Ok(())
    }

    fn operator(&mut self, operator: &Operator<'a>) -> Result<(), Fault> {
        let OperatorCode::Builtin(name) = operator.code else { return Err(self.refused(operator)) };
        if let Some(&again) = operator.outputs.iter().find(|&&output| self.values[output].is_some()) {
            let found = format!("`{}` once more", self.described(again).name);
            return Err(misfit("the operator", found, "an output that nothing computes before"));
        }
        self.begin_output(operator, 0);
        let first_new = self.graph.tensors.len();
        let of_integers = operator.outputs.first().is_some_and(|&output| self.is_integers(output));
        let made = if of_integers {
            statics::evaluate(self, name, operator)?
        } else {
            let lower = operators::lower(name).ok_or_else(|| self.refused(operator))?;
            self.refuse_words(operator)?;
            lower(self, operator)?
        };
        if made.len() != operator.outputs.len() {
            let found = format!("{} outputs", operator.outputs.len());
            return Err(misfit("the operator", found, made.len().to_string()));
        }
        for (number, value) in made.into_iter().enumerate() {
            self.begin_output(operator, number);
            let output = operator.outputs[number];
            self.values[output] = Some(match value {
                Value::Tensor(id) => Value::Tensor(self.as_described(id, output, first_new)?),
                other => other,
            });
        }
        Ok(())
    }

    /// Refuses to compute with int16: it may only be made of other types, and they of it, be the result
    /// of a softmax, or the state of an operator.
    fn refuse_words(&self, operator: &Operator<'_>) -> Result<(), Fault> {
        let with_words = ["QUANTIZE", "DEQUANTIZE", "SOFTMAX", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM"];
        if matches!(operator.code, OperatorCode::Builtin(name) if with_words.contains(&name)) {
            return Ok(());
        }
        let tensors = operator.inputs.iter().flatten().chain(&operator.outputs);
        let mut tensors = tensors.map(|&tensor| self.described(tensor));
        match tensors.find(|tensor| tensor.element_type == ElementType::I16) {
            None => Ok(()),
            Some(tensor) => Err(Fault::Unsupported {
                what: format!("arithmetic with int16 (`{}`)", tensor.name),
                remedy: "convert the model again with activations of int8, or in float32".into(),
            }),
        }
    }

    /// Makes operators from here on part of the layer of this output.
    pub(super) fn begin_output(&mut self, operator: &Operator<'_>, number: usize) {
        if let Some(&output) = operator.outputs.get(number) {
            self.layer.clone_from(&self.described(output).name);
        }
    }

    /// Gives a tensor the meaning of integers that the file gives to this output.
    pub(super) fn quantise_as_output(
        &mut self,
        id: TensorId,
        operator: &Operator<'_>,
        number: usize,
    ) -> Result<(), Fault> {
        if let Some(&output) = operator.outputs.get(number) {
            self.graph.tensors[id.0].quant = self.quant(self.described(output))?;
        }
        Ok(())
    }

    /// What was computed, with the shape and the meaning of integers that the file gives it.
    /// `first_new` is the first tensor that this operator made.
    fn as_described(&mut self, id: TensorId, output: usize, first_new: usize) -> Result<TensorId, Fault> {
        let tensor = self.described(output);
        self.check_type(tensor)?;
        let described = self.shape_of(tensor)?;
        let quant = self.quant_of_activation(tensor)?;
        let mut id = id;
        if self.graph.tensors[id.0].quant != quant {
            if id.0 < first_new {
                id = self.unbounded(id)?;
            }
            self.graph.tensors[id.0].quant = quant;
        }
        if self.graph.dims(id) != described.dims() {
            let is_open = tensor.shape_signature.iter().flatten().any(|&extent| extent < 0);
            if self.graph.tensor(id).shape().len() == described.len() {
                id = self.reshape(id, described.dims())?;
            } else if !is_open {
                let found = format!("{:?}", described.dims());
                return Err(misfit("the output's shape", found, format!("{:?}", self.graph.dims(id))));
            }
        }
        Ok(id)
    }

    /// Why an operator is refused that is not among those that are read.
    fn refused(&self, operator: &Operator<'_>) -> Fault {
        let names = |tensors: &mut dyn Iterator<Item = usize>| {
            let names: Vec<String> =
                tensors.take(8).map(|tensor| format!("`{}`", self.described(tensor).name)).collect();
            names.join(", ")
        };
        let name = operator.code.name();
        let inputs = names(&mut operator.inputs.iter().flatten().copied());
        let outputs = names(&mut operator.outputs.iter().copied());
        let (what, remedy) = match (&operator.code, name.as_str()) {
            (OperatorCode::Custom(_), "edgetpu-custom-op") => (
                "a model compiled for the Edge TPU (operator edgetpu-custom-op)".to_owned(),
                "use the .tflite file that was given to `edgetpu_compiler`",
            ),
            (OperatorCode::Custom(_), "ethos-u") => (
                "a model compiled for an Ethos-U (operator ethos-u)".to_owned(),
                "use the .tflite file that was given to `vela`",
            ),
            (OperatorCode::Custom(_), _) => (
                format!("the custom operator {name} (inputs {inputs}; outputs {outputs})"),
                "build the model of TensorFlow Lite's own operators and convert it again",
            ),
            (_, "IF" | "WHILE" | "CALL") => (
                format!("control flow, the operator {name} (inputs {inputs}; outputs {outputs}),"),
                "pass the Keras model itself (.keras, .h5 or a SavedModel), of which recurrent layers are read; or convert \
                 it with loops unrolled (`unroll=True`) and without branches",
            ),
            _ => (
                format!("the operator {name} (inputs {inputs}; outputs {outputs})"),
                "pass the Keras model itself (.keras, .h5 or a SavedModel), or build it without this operator and convert \
                 it again",
            ),
        };
        Fault::Unsupported { what, remedy: remedy.into() }
    }

    /// Whether a tensor holds integers that stand for themselves: shapes, axes, conditions.
    pub(super) fn is_integers(&self, tensor: usize) -> bool {
        let tensor = self.described(tensor);
        matches!(tensor.element_type, ElementType::I32 | ElementType::I64 | ElementType::Bool)
            && tensor.quantization.is_none()
    }
}

/// A fault of an operator whose tensors and options do not fit together.
pub(super) fn misfit(
    place: impl Into<String>,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> Fault {
    Fault::Misfit { place: place.into(), found: found.into(), expected: expected.into() }
}
