//! What outlives a run: variables by name, and the tensors that an operator updates.

use flatpack_format::Shape;

use super::{Lowering, Value, misfit};
use crate::graph::{Data, TensorId};
use crate::import::Fault;
use crate::import::tflite::model::{ElementType, Operator};
use crate::quant::Quant;

/// The most elements that are made here, all of them together.
pub(super) const MAX_MADE: usize = 1 << 26;

/// A variable of the model.
#[derive(Clone, Debug)]
pub(in super::super) struct Variable {
    container: String,
    /// Its name.
    pub(in super::super) name: String,
    /// Its elements before the first run, where the model gives them.
    pub(in super::super) init: Option<Data>,
    /// What a run finds there, if an operator asks for it.
    pub(in super::super) state: Option<TensorId>,
    /// What it holds after the operators so far, if they look at it.
    pub(in super::super) held: Option<TensorId>,
}

impl Lowering<'_, '_> {
    /// The number of the variable of this name.
    pub(in super::super) fn variable(&mut self, container: &str, name: &str) -> usize {
        let known = self.variables.iter().position(|v| v.container == container && v.name == name);
        known.unwrap_or_else(|| {
            let (container, name) = (container.to_owned(), name.to_owned());
            self.variables.push(Variable { container, name, init: None, state: None, held: None });
            self.variables.len() - 1
        })
    }

    /// The variable that the first input of an operator names.
    pub(in super::super) fn handle(&self, operator: &Operator<'_>) -> Result<usize, Fault> {
        let handle = operator.inputs.first().copied().flatten();
        match handle.and_then(|handle| self.values[handle].as_ref()) {
            Some(Value::Variable(number)) => Ok(*number),
            _ => Err(misfit("the operator", "another input", "a variable that VAR_HANDLE names")),
        }
    }

    /// What the variables hold in the end is what the next run finds.
    pub(super) fn finish_variables(&mut self) {
        for variable in &self.variables {
            for state in self.graph.states.iter_mut().filter(|state| Some(state.value) == variable.state) {
                state.next = variable.held.filter(|&held| held != state.value);
            }
        }
    }

    /// Counts elements that are in no file, of states and of constants put together, and refuses them
    /// beyond any real model's.
    pub(in super::super) fn count_made(&mut self, len: usize) -> Result<(), Fault> {
        let left = self.made_left.checked_sub(len);
        self.made_left = left.ok_or(Fault::Limit {
            what: "the number of elements of states and gates",
            found: (MAX_MADE - self.made_left).saturating_add(len) as u64,
            limit: MAX_MADE as u64,
        })?;
        Ok(())
    }

    /// Extents of a tensor that nothing has written yet, what it holds, and what its integers stand for:
    /// zeros, or for signed bytes their zero point.
    pub(in super::super) fn blank(
        &mut self,
        tensor: usize,
    ) -> Result<(Vec<u32>, Data, Option<Quant>), Fault> {
        let tensor = self.described(tensor);
        self.check_type(tensor)?;
        let (shape, quant) = (self.occupied(tensor)?, self.quant(tensor)?);
        let len = shape.len().unwrap_or(0) as usize;
        self.count_made(len)?;
        let zero = quant.as_ref().map_or(0, Quant::zero_point);
        let data = match tensor.element_type {
            ElementType::F32 => Data::F32(vec![0.0; len].into()),
            ElementType::I8 => Data::I8(vec![zero as i8; len].into()),
            ElementType::U8 => Data::U8(vec![0; len].into()),
            ElementType::I16 => Data::I16(vec![0; len].into()),
            _ => {
                let found = format!("`{}` of {}", tensor.name, tensor.element_type.name());
                return Err(misfit("a state", found, "reals, or integers of at most 16 bits"));
            }
        };
        Ok((shape.dims().to_vec(), data, quant))
    }

    /// How often operators read a tensor.
    fn uses(&self, tensor: usize) -> usize {
        let inputs = self.subgraph.operators.iter().flat_map(|operator| &operator.inputs);
        inputs.filter(|input| **input == Some(tensor)).count()
    }

    /// The state that an operator has as an input, in this shape.
    pub(in super::super) fn state(
        &mut self,
        operator: &Operator<'_>,
        number: usize,
        dims: &[u32],
    ) -> Result<TensorId, Fault> {
        let Some(tensor) = operator.inputs.get(number).copied().flatten() else {
            return Err(misfit("the operator", format!("no input {number}"), "a state"));
        };
        let name = self.described(tensor).name.clone();
        let (found, init, quant) = match self.values[tensor].clone() {
            None if self.described(tensor).is_variable => self.blank(tensor)?,
            Some(Value::Tensor(id)) if self.graph.is_constant(id) && self.uses(tensor) == 1 => {
                // With weights of float16, the converter gives the state's first content as a constant.
                let reals = self.graph.tensor(id).reals().unwrap_or_default();
                self.count_made(reals.len())?;
                (self.graph.dims(id).to_vec(), Data::F32(reals.into()), None)
            }
            _ => {
                let found = format!("`{name}`, which is no variable or another operator's");
                return Err(misfit("the state", found, "a variable of its own"));
            }
        };
        let shape = Shape::new(dims).filter(|shape| shape.len() == u32::try_from(init.len()).ok());
        if shape.is_none() {
            return Err(misfit("the state", format!("shape {found:?}"), format!("elements of {dims:?}")));
        }
        let id = self.graph.add_state(&name, dims, init, quant);
        self.values[tensor] = Some(Value::Tensor(id));
        Ok(id)
    }
}
