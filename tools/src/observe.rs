//! What each step of a file computes, for rows of data: where ranges are taken from, and errors.

use crate::array::Array;
use crate::build::Built;
use crate::graph::TensorId;
use crate::predict::{PredictError, Rows, floats, quant};
use crate::quant::Quant;
use flatpack_format::Block;
use flatpack_runtime::{Session, ops};

/// A tensor of the graph, as the file has just computed it or been given it.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// The tensor.
    pub id: TensorId,
    /// Number of the first of the rows that are computed in this run.
    pub row: usize,
    /// The operator that computed it; `None` for an input.
    pub op: Option<&'static str>,
    /// The reals that its elements are or stand for, row-major.
    pub values: &'a [f32],
    /// How integers stand for them, where they do.
    pub quant: Option<Quant>,
}

/// Runs a file over rows, batch by batch or sequence by sequence, and shows all inputs and what each step computes. Reshapes
/// that cost nothing are no steps.
///
/// # Errors
/// If the arrays do not fit the inputs, the model does not load, or `show` fails.
pub fn observe<E: From<PredictError>>(
    built: &Built,
    inputs: &[Array],
    mut show: impl FnMut(Seen<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let model = built.model();
    let rows = Rows::of(&model, inputs)?;
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let mut session =
        Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)).map_err(PredictError::from)?;
    for run in 0..rows.runs() {
        if run % rows.sequence == 0 {
            session.reset();
        }
        rows.give(&mut session, inputs, run);
        let row = run * rows.batch;
        for (tensor, &id) in model.inputs().zip(&built.inputs) {
            let quant = quant(&model, &tensor);
            let values = floats(tensor, session.bytes(tensor).unwrap_or_default(), quant.as_ref());
            show(Seen { id, row, op: None, values: &values, quant })?;
        }
        for (step, node) in model.steps().zip(&built.plan.steps) {
            session.step().map_err(PredictError::from)?;
            let Some(output) = step.output() else { continue };
            let quant = quant(&model, &output);
            let values = floats(output, session.bytes(output).unwrap_or_default(), quant.as_ref());
            show(Seen { id: node.output, row, op: Some(step.op().name()), values: &values, quant })?;
        }
    }
    Ok(())
}
