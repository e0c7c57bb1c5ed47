//! Lowering as far as it goes: past operators that are refused.

use std::path::Path;

use super::{Lowering, statics};
use crate::import::survey::{Surveyed, SurveyedLayer};
use crate::import::tflite::model::{Model, Operator, OperatorCode};
use crate::import::tflite::operators;
use crate::import::{Fault, ImportError};

/// Lists the operators of the first graph, and lowers each that can be. Behind one that cannot be, only the kinds of
/// operators are judged.
pub(in super::super) fn survey(file: &Path, model: &Model<'_>, found: &mut Surveyed) {
    let Some(subgraph) = model.subgraphs.first() else {
        let fault = super::misfit("the model", "no graph", "one graph");
        return found.refusals.push(ImportError::in_file(file, fault));
    };
    let mut lowering = Lowering::new("", model, subgraph);
    for &input in &subgraph.inputs {
        let tensor = &subgraph.tensors[input];
        let extents = tensor.shape_signature.as_ref().unwrap_or(&tensor.shape);
        let extents = extents.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        found.inputs.push((tensor.name.clone(), Some(extents)));
        if let Err(fault) = lowering.input(&tensor.name, input) {
            found.refusals.push(ImportError::in_file(file, fault));
        }
    }
    let mut computed = vec![false; subgraph.tensors.len()];
    subgraph
        .operators
        .iter()
        .flat_map(|operator| &operator.outputs)
        .for_each(|&output| computed[output] = true);
    subgraph.inputs.iter().for_each(|&input| computed[input] = true);
    for (number, operator) in subgraph.operators.iter().enumerate() {
        found.layers.push(lowering.listed(operator));
        let mut inputs = operator.inputs.iter().flatten();
        let is_reached = inputs.all(|&input| !computed[input] || lowering.values[input].is_some());
        let lowered = if is_reached { lowering.operator(operator) } else { lowering.judge(operator) };
        if let Err(fault) = lowered {
            found.refusals.push(lowering.locate(file, number, operator, fault));
        }
    }
    found.outputs.extend(subgraph.outputs.iter().map(|&output| subgraph.tensors[output].name.clone()));
}

impl Lowering<'_, '_> {
    /// Refuses an operator of a kind that is not read.
    fn judge(&self, operator: &Operator<'_>) -> Result<(), Fault> {
        match operator.code {
            OperatorCode::Builtin(name)
                if operators::lower(name).is_some() || statics::NAMES.contains(&name) =>
            {
                Ok(())
            }
            _ => Err(self.refused(operator)),
        }
    }

    fn listed(&self, operator: &Operator<'_>) -> SurveyedLayer {
        let shape = |&output: &usize| {
            let shape = &self.described(output).shape;
            shape.iter().map(|extent| extent.unsigned_abs()).collect()
        };
        let elements = |&input: &usize| {
            let tensor = self.described(input);
            let extents = tensor.shape.iter().map(|extent| u64::from(extent.unsigned_abs()));
            tensor.data.map_or(0, |_| extents.fold(1, u64::saturating_mul))
        };
        let parameters = operator.inputs.iter().flatten().map(elements).fold(0, u64::saturating_add);
        SurveyedLayer {
            path: self.name_of(operator).to_owned(),
            class: operator.code.name(),
            shapes: operator.outputs.iter().map(shape).collect(),
            parameters: Some(parameters),
        }
    }
}
