//! Tensors of the file: their shapes, element types and constants.

use std::rc::Rc;

use flatpack_format::{DType, Shape};

use super::{Integers, Lowering, Value, misfit};
use crate::graph::{Data, TensorId};
use crate::import::Fault;
use crate::import::tflite::model::{ElementType, Operator, Tensor};
use crate::quant::Quant;

/// The most elements of a tensor: as many as take less than 2³² bytes as float32.
const MAX_ELEMENTS: u32 = u32::MAX / 4;

impl<'a> Lowering<'_, 'a> {
    /// An input of an operator as a tensor of the graph.
    pub(crate) fn x(&mut self, operator: &Operator<'_>, number: usize) -> Result<TensorId, Fault> {
        let input = self.optional(operator, number)?;
        input.ok_or_else(|| misfit("the operator", format!("no input {number}"), "a tensor"))
    }

    /// An input of an operator as a tensor of the graph, or `None` if it is left out.
    pub(crate) fn optional(
        &mut self,
        operator: &Operator<'_>,
        number: usize,
    ) -> Result<Option<TensorId>, Fault> {
        let input = operator.inputs.get(number).copied().flatten();
        input.map(|input| self.tensor(input)).transpose()
    }

    /// All inputs of an operator.
    pub(crate) fn all(&mut self, operator: &Operator<'_>) -> Result<Vec<TensorId>, Fault> {
        (0..operator.inputs.len()).map(|number| self.x(operator, number)).collect()
    }

    /// An input of an operator as integers that are known here.
    pub(crate) fn integers(&mut self, operator: &Operator<'_>, number: usize) -> Result<Rc<Integers>, Fault> {
        let Some(tensor) = operator.inputs.get(number).copied().flatten() else {
            return Err(misfit("the operator", format!("no input {number}"), "a tensor of integers"));
        };
        if let Some(Value::Integers(integers)) = self.values[tensor].clone() {
            self.count_values(integers.values.len())?;
            return Ok(integers);
        }
        let described = self.described(tensor);
        if described.data.is_none() {
            return Err(Fault::Unsupported {
                what: format!("a shape or position that is computed at run time (`{}`)", described.name),
                remedy: "convert the model again with fixed shapes".into(),
            });
        }
        let integers = self.stored_integers(described)?;
        let dims = self.shape_of(described)?.dims().to_vec();
        let integers = Rc::new(Integers { dims, values: integers });
        self.values[tensor] = Some(Value::Integers(integers.clone()));
        Ok(integers)
    }

    /// An input that must be one integer.
    pub(crate) fn integer(&mut self, operator: &Operator<'_>, number: usize) -> Result<i64, Fault> {
        let integers = self.integers(operator, number)?;
        match integers.values.as_slice() {
            [single] => Ok(*single),
            several => Err(misfit(format!("input {number}"), format!("{several:?}"), "one integer")),
        }
    }

    fn stored_integers(&mut self, tensor: &Tensor<'a>) -> Result<Vec<i64>, Fault> {
        let bytes = tensor.data.unwrap_or_default();
        let values: Vec<i64> = match tensor.element_type {
            ElementType::I32 => words::<4>(bytes).map(|b| i32::from_le_bytes(b).into()).collect(),
            ElementType::I64 => words::<8>(bytes).map(i64::from_le_bytes).collect(),
            ElementType::Bool => bytes.iter().map(|&b| i64::from(b != 0)).collect(),
            other => {
                let found = format!("`{}` of element type {}", tensor.name, other.name());
                return Err(misfit("a shape or position", found, "integers"));
            }
        };
        self.check_count(tensor, values.len())?;
        self.count_values(values.len())?;
        Ok(values)
    }

    /// Counts values that are computed here, and refuses them beyond any real model's.
    pub(crate) fn count_values(&mut self, count: usize) -> Result<(), Fault> {
        let left = self.values_left.checked_sub(count);
        self.values_left = left.ok_or(Fault::Limit {
            what: "the number of values of shape arithmetic",
            found: (super::MAX_VALUES - self.values_left).saturating_add(count) as u64,
            limit: super::MAX_VALUES as u64,
        })?;
        Ok(())
    }

    /// What a tensor of the file became: an activation, or a constant.
    pub(crate) fn tensor(&mut self, number: usize) -> Result<TensorId, Fault> {
        match &self.values[number] {
            Some(Value::Tensor(id)) => return Ok(*id),
            Some(Value::Integers(_) | Value::Variable(_)) => {
                return Err(self.of_integers(self.described(number)));
            }
            None => {}
        }
        let tensor = self.described(number);
        let shape = self.occupied(tensor)?;
        self.check_type(tensor)?;
        let data = self.stored(tensor)?;
        let quant = self.quant(tensor)?;
        let id = self.graph.add_stored(&tensor.name, shape.dims(), data, quant);
        self.values[number] = Some(Value::Tensor(id));
        Ok(id)
    }

    /// A constant input in another shape, with its scales along `axis` of that shape.
    ///
    /// Only axes of length 1 may come or go, so that scales stay along one axis.
    pub(crate) fn reshaped_constant(
        &mut self,
        operator: &Operator<'_>,
        number: usize,
        dims: &[u32],
        axis: usize,
    ) -> Result<Option<TensorId>, Fault> {
        let Some(input) = operator.inputs.get(number).copied().flatten() else { return Ok(None) };
        let id = self.tensor(input)?;
        let Some(shape) = Shape::new(dims).filter(|shape| shape.len() == self.graph.tensor(id).shape().len())
        else {
            return Ok(None);
        };
        if let Some(&made) = self.reshaped.get(&(id.0, shape)) {
            return Ok(Some(made));
        }
        let tensor = self.graph.tensor(id);
        let Some(data) = tensor.data.clone() else { return Ok(None) };
        let (name, mut quant) = (tensor.name.clone(), tensor.quant.clone());
        if let Some(quant) = &mut quant
            && !quant.is_per_tensor()
        {
            quant.axis = axis;
        }
        let made = self.graph.add_stored(&name, dims, data, quant);
        self.reshaped.insert((id.0, shape), made);
        Ok(Some(made))
    }

    /// The elements of a constant.
    pub(in super::super) fn stored(&mut self, tensor: &Tensor<'a>) -> Result<Data, Fault> {
        let Some(bytes) = tensor.data else {
            let found = format!("`{}`, which nothing computes", tensor.name);
            return Err(misfit("an input", found, "a tensor that an operator before computes"));
        };
        let key = (bytes.as_ptr(), bytes.len(), tensor.element_type as u8);
        let data = match self.data.get(&key) {
            Some(data) => data.clone(),
            None => match tensor.element_type {
                ElementType::F32 => Data::F32(words::<4>(bytes).map(f32::from_le_bytes).collect()),
                ElementType::F16 => Data::F16(words::<2>(bytes).map(u16::from_le_bytes).collect()),
                ElementType::I8 => Data::I8(bytes.iter().map(|&b| b as i8).collect()),
                ElementType::U8 => Data::U8(bytes.into()),
                ElementType::I16 => Data::I16(words::<2>(bytes).map(i16::from_le_bytes).collect()),
                ElementType::I32 => Data::I32(words::<4>(bytes).map(i32::from_le_bytes).collect()),
                _ => return Err(self.of_integers(tensor)),
            },
        };
        self.check_count(tensor, data.len())?;
        self.data.insert(key, data.clone());
        Ok(data)
    }

    fn check_count(&self, tensor: &Tensor<'_>, found: usize) -> Result<(), Fault> {
        let expected = self.shape_of(tensor)?.len();
        if expected == u32::try_from(found).ok() {
            return Ok(());
        }
        let place = format!("the constant `{}` of shape {:?}", tensor.name, tensor.shape);
        let expected = expected.map_or("fewer".to_owned(), |expected| expected.to_string());
        Err(misfit(place, format!("{found} elements"), expected))
    }

    /// The shape of a tensor.
    pub(super) fn shape_of(&self, tensor: &Tensor<'_>) -> Result<Shape, Fault> {
        let dims: Option<Vec<u32>> = tensor.shape.iter().map(|&d| u32::try_from(d).ok()).collect();
        let shape = dims.and_then(|dims| Shape::new(&dims));
        let shape = shape.filter(|shape| shape.len().is_some_and(|len| len <= MAX_ELEMENTS));
        shape.ok_or_else(|| Fault::Unsupported {
            what: format!("the tensor `{}` of shape {:?}", tensor.name, tensor.shape),
            remedy: format!("tensors have at most {} axes and 2³⁰ elements", flatpack_format::MAX_RANK),
        })
    }

    /// The shape of a tensor that is to be computed with: of no elements nothing can be computed.
    pub(super) fn occupied(&self, tensor: &Tensor<'_>) -> Result<Shape, Fault> {
        let shape = self.shape_of(tensor)?;
        if !shape.is_empty() {
            return Ok(shape);
        }
        Err(Fault::Unsupported {
            what: format!("the tensor `{}` of shape {:?}, which has no elements,", tensor.name, tensor.shape),
            remedy: "build the model without empty tensors and convert it again".into(),
        })
    }

    /// Refuses a tensor whose elements are no reals and do not stand for reals.
    pub(super) fn check_type(&self, tensor: &Tensor<'_>) -> Result<(), Fault> {
        let refuse = |what: String, remedy: &str| Err(Fault::Unsupported { what, remedy: remedy.into() });
        let name = &tensor.name;
        if tensor.is_sparse {
            return refuse(format!("the sparse tensor `{name}`"), "convert the model again without sparsity");
        }
        match (tensor.element_type, &tensor.quantization) {
            (ElementType::I8 | ElementType::U8 | ElementType::I16 | ElementType::I32, Some(quantization))
                if quantization.is_other_scheme =>
            {
                let what = format!("the tensor `{name}`, quantised by blocks or by a scheme of its own,");
                refuse(what, "convert the model again with 8 bits per tensor or per channel")
            }
            (ElementType::F32 | ElementType::I32, _)
            | (ElementType::I8 | ElementType::U8 | ElementType::I16, Some(_)) => Ok(()),
            (ElementType::F16, _) if tensor.data.is_some() => Ok(()),
            (ElementType::I8 | ElementType::U8 | ElementType::I16, None) => refuse(
                format!("the tensor `{name}` of {} without a scale", tensor.element_type.name()),
                "convert the model again with full quantisation, or in float32",
            ),
            (ElementType::I4 | ElementType::I2 | ElementType::U4, _) => refuse(
                format!("the tensor `{name}` of {}", tensor.element_type.name()),
                "convert the model again with weights of int8",
            ),
            (other, _) => refuse(
                format!("the tensor `{name}` of {}", other.name()),
                "convert the model again with float32 or int8 tensors",
            ),
        }
    }

    fn of_integers(&self, tensor: &Tensor<'_>) -> Fault {
        Fault::Unsupported {
            what: format!("arithmetic on `{}` of {}", tensor.name, tensor.element_type.name()),
            remedy: "build the model so that it computes with reals, and convert it again".into(),
        }
    }

    /// What the integers of an activation stand for: in one way, whatever the axis.
    pub(super) fn quant_of_activation(&self, tensor: &Tensor<'_>) -> Result<Option<Quant>, Fault> {
        match tensor.quantization.as_ref().map_or(0, |quantization| quantization.scales.len()) {
            0 | 1 => self.quant(tensor),
            several if tensor.element_type != ElementType::F32 => Err(Fault::Unsupported {
                what: format!("the activation `{}` with {several} scales", tensor.name),
                remedy: "convert the model again with a scale per activation".into(),
            }),
            _ => Ok(None),
        }
    }

    /// What the integers of a tensor stand for; `None` if its elements are reals.
    pub(super) fn quant(&self, tensor: &Tensor<'_>) -> Result<Option<Quant>, Fault> {
        let dtype = match tensor.element_type {
            ElementType::I8 => DType::I8,
            ElementType::U8 => DType::U8,
            ElementType::I16 => DType::I16,
            ElementType::I32 => DType::I32,
            _ => return Ok(None),
        };
        let Some(quantization) = &tensor.quantization else { return Ok(None) };
        let wrong = |found: String, expected: &str| {
            misfit(format!("the quantisation of `{}`", tensor.name), found, expected)
        };
        let scales = quantization.scales.clone();
        if scales.is_empty() {
            return Err(wrong("no scales".into(), "one or more"));
        }
        if let Some(scale) = scales.iter().find(|scale| !(scale.is_finite() && **scale > 0.0)) {
            return Err(wrong(format!("the scale {scale}"), "positive numbers"));
        }
        // Old converters give a bias the axis of its weights.
        let axis = if scales.len() == 1 || tensor.shape.len() == 1 { 0 } else { quantization.axis };
        let axis = usize::try_from(axis).unwrap_or(usize::MAX);
        if scales.len() != 1 && tensor.shape.get(axis).copied() != i32::try_from(scales.len()).ok() {
            let found = format!("{} scales along axis {}", scales.len(), quantization.axis);
            return Err(wrong(found, &format!("as many as that axis of {:?} has", tensor.shape)));
        }
        let mut zero_points: Vec<i32> = Vec::new();
        let (low, high) = Quant::per_tensor(dtype, 1.0, 0).range();
        for &zero_point in &quantization.zero_points {
            let known = i32::try_from(zero_point).ok().filter(|zero| (low..=high).contains(zero));
            let outside = || wrong(format!("the zero point {zero_point}"), "an integer of the type");
            zero_points.push(known.ok_or_else(outside)?);
        }
        match zero_points.as_slice() {
            [] => zero_points = vec![0; scales.len()],
            [single] => zero_points = vec![*single; scales.len()],
            several if several.len() == scales.len() => {}
            several => {
                return Err(wrong(format!("{} zero points", several.len()), "as many as scales"));
            }
        }
        Ok(Some(Quant { dtype, scales, zero_points, axis, unsigned: false }))
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
