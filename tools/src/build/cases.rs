//! The cases of goldens, predicted by an engine that shares no code with ours.

use std::collections::HashMap;

use tract_core::internal::{TractError, TractResult};

use super::{BuildError, GivenCase, Goldens};
use crate::exact::{self, Values};
use crate::golden::{self, TOLERANCES};
use crate::graph::{Graph, TensorId};
use crate::reference::Predictor;

/// A case with the reference's values for every tensor.
pub(super) struct Case {
    pub(super) inputs: Vec<Values>,
    pub(super) outputs: Vec<Values>,
    pub(super) values: HashMap<TensorId, Values>,
    /// The part of their likely range that inputs of our own are drawn from.
    pub(super) share: f32,
}

/// A case before anything is predicted.
pub(super) enum Asked {
    /// Inputs are drawn for the case of this number.
    Drawn(usize),
    /// Inputs of the user's, or of a case before, and outputs where they are known.
    Given { inputs: Vec<Values>, outputs: Option<Vec<Values>> },
}

impl Asked {
    /// Leaves outputs to be predicted.
    pub(super) fn forget_outputs(&mut self) {
        if let Self::Given { outputs, .. } = self {
            *outputs = None;
        }
    }
}

/// The cases that are asked for.
pub(super) fn asked(graph: &Graph, goldens: &Goldens) -> Result<Vec<Asked>, BuildError> {
    let given = match goldens {
        Goldens::Predicted(count) => return Ok((0..*count).map(Asked::Drawn).collect()),
        Goldens::Given(given) => given,
    };
    let typed = |ids: &[TensorId], values: &[Vec<f32>]| -> Vec<Values> {
        let dtypes = ids.iter().map(|&id| graph.tensor(id).tensor_type.dtype);
        values.iter().zip(dtypes).map(|(v, dtype)| Values::from_floats(v, dtype)).collect()
    };
    let mut cases = Vec::new();
    for (number, case) in given.iter().enumerate() {
        check_lengths(graph, number, case)?;
        let outputs = Some(typed(&graph.outputs, &case.outputs));
        cases.push(Asked::Given { inputs: typed(&graph.inputs, &case.inputs), outputs });
    }
    Ok(cases)
}

fn check_lengths(graph: &Graph, number: usize, case: &GivenCase) -> Result<(), BuildError> {
    let sides = [("input", &graph.inputs, &case.inputs), ("output", &graph.outputs, &case.outputs)];
    for (side, ids, values) in sides {
        for (position, id) in ids.iter().enumerate() {
            let expected = graph.tensor(*id).shape().len().unwrap_or(0) as usize;
            let found = values.get(position).map_or(0, Vec::len);
            if found != expected {
                let what = format!("{side} {position}");
                return Err(BuildError::GoldenShape { case: number, what, found, expected });
            }
        }
    }
    Ok(())
}

/// Predicts cases: by tract from a graph of reals as it is, or else exactly from a graph whose operators
/// are those of the file. Outputs that are given take the place of those that are predicted. Inputs are drawn for this
/// very graph: passes may take away what tells their range.
pub(super) fn predict(graph: &Graph, asked: Vec<Asked>) -> Result<Vec<Case>, BuildError> {
    let failed = |error: TractError| BuildError::Reference(format!("{error:#}"));
    let predictor = if graph.has_integers() { None } else { Some(Predictor::new(graph).map_err(failed)?) };
    let engine = Engine { graph, predictor };
    let case = |asked| match asked {
        Asked::Drawn(case) => engine.drawn(case),
        Asked::Given { inputs, outputs } => engine.case(inputs, outputs),
    };
    asked.into_iter().map(case).collect::<TractResult<_>>().map_err(failed)
}

/// What predicts the tensors of a graph.
struct Engine<'g> {
    graph: &'g Graph,
    /// Of a graph of reals.
    predictor: Option<Predictor>,
}

/// Parts of the likely range of inputs that are tried after all of it.
const SHARES: [f32; 3] = [1.0 / 4.0, 1.0 / 16.0, 1.0 / 64.0];

/// What inputs are multiplied and divided by in turn to see what rounding does to a case: four units in the last place,
/// as much as the first layers of a network round by.
const ROUNDING: f32 = 1.0 + 4.0 * f32::EPSILON;

impl Engine<'_> {
    fn predict(&self, inputs: &[Values]) -> TractResult<HashMap<TensorId, Values>> {
        let Some(predictor) = &self.predictor else { return exact::predict(self.graph, inputs) };
        let reals: Vec<Vec<f32>> = inputs.iter().map(Values::floats).collect();
        let values = predictor.predict(&reals)?;
        Ok(values.into_iter().map(|(id, values)| (id, Values::Reals(values))).collect())
    }

    fn case(&self, inputs: Vec<Values>, outputs: Option<Vec<Values>>) -> TractResult<Case> {
        let values = self.predict(&inputs)?;
        let value = |id: &TensorId| match self.graph.inputs.iter().position(|input| input == id) {
            Some(input) => inputs[input].clone(),
            None => {
                let found = values.get(id).cloned().or_else(|| exact::stored(self.graph, *id));
                found.unwrap_or(Values::Reals(Vec::new()))
            }
        };
        let outputs = outputs.unwrap_or_else(|| self.graph.outputs.iter().map(value).collect());
        Ok(Case { inputs, outputs, values, share: 1.0 })
    }

    /// A case of drawn inputs: of the largest part of their range of which rounding does not decide what the model
    /// gives, or else of all of it. Layers that were never trained can make such differences grow from one to the next.
    fn drawn(&self, number: usize) -> TractResult<Case> {
        let of_all = self.case(golden::inputs(self.graph, number, 1.0), None)?;
        if self.predictor.is_none() || self.is_steady(&of_all)? {
            return Ok(of_all);
        }
        for share in SHARES {
            let case = self.case(golden::inputs(self.graph, number, share), None)?;
            if self.is_steady(&case)? {
                return Ok(Case { share, ..case });
            }
        }
        Ok(of_all)
    }

    /// Whether every tensor stays within a golden's tolerance where inputs are rounded otherwise.
    fn is_steady(&self, case: &Case) -> TractResult<bool> {
        let rounded: Vec<Values> = case.inputs.iter().map(rounded_otherwise).collect();
        if rounded == case.inputs {
            return Ok(true);
        }
        let largest =
            |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, |max: f32, v| max.max(v.abs()));
        let others = self.predict(&rounded)?;
        Ok(case.values.iter().all(|(id, values)| {
            let (values, others) = (values.floats(), others[id].floats());
            let difference = largest(&mut values.iter().zip(&others).map(|(value, other)| value - other));
            let relative = TOLERANCES.receipt_rel_tolerance * largest(&mut values.iter().copied());
            difference <= relative.max(TOLERANCES.receipt_abs_tolerance)
        }))
    }
}

/// Reals that are up to four units in the last place away, in turn above and below.
fn rounded_otherwise(values: &Values) -> Values {
    let Values::Reals(reals) = values else { return values.clone() };
    let factors = [ROUNDING, 1.0 / ROUNDING].into_iter().cycle();
    Values::Reals(reals.iter().zip(factors).map(|(real, factor)| real * factor).collect())
}

#[cfg(test)]
mod tests {
    use flatpack_format::ops::Clamp;
    use flatpack_format::ops::binary::BinaryParams;
    use flatpack_format::{OpCode, Shape};

    use super::*;

    /// The part of the range that a case for twelve layers has, each of which makes of `x` what `layer` says.
    fn share(layer: impl Fn(&mut Graph, TensorId) -> TensorId) -> f32 {
        let mut graph = Graph::default();
        let mut x = graph.add_input("x", Shape::new(&[10_000]).unwrap());
        for _ in 0..12 {
            x = layer(&mut graph, x);
        }
        graph.outputs.push(x);
        let cases = predict(&graph, asked(&graph, &Goldens::Predicted(1)).unwrap()).unwrap();
        assert_eq!(cases[0].inputs, golden::inputs(&graph, 0, cases[0].share));
        cases[0].share
    }

    fn product(graph: &mut Graph, x: TensorId, y: TensorId) -> TensorId {
        graph.add_node("product", OpCode::Mul, BinaryParams { clamp: Clamp::NONE }, &[x, y]).unwrap()
    }

    #[test]
    fn inputs_are_of_all_their_range_where_layers_keep_differences_small() {
        let halves = |graph: &mut Graph, x| {
            let half = graph.add_constant("half", &[1], vec![0.5]);
            product(graph, x, half)
        };
        assert_eq!(share(halves), 1.0);
    }

    #[test]
    fn inputs_are_of_less_than_their_range_where_rounding_would_decide() {
        // Twelve squares make 4096 times the relative difference; of a quarter, they make zero.
        assert_eq!(share(|graph, x| product(graph, x, x)), 0.25);
    }

    #[test]
    fn inputs_are_of_all_their_range_where_no_part_is_steady() {
        let waves = |graph: &mut Graph, x| {
            let million = graph.add_constant("million", &[1], vec![1e6]);
            let angles = product(graph, x, million);
            graph.add_node("wave", OpCode::Sin, (), &[angles]).unwrap()
        };
        assert_eq!(share(waves), 1.0);
    }
}
