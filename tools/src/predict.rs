//! Running a file over many rows: what `flatpack run`, `eval` and a data scientist's `predict` do.

use crate::array::Array;
use flatpack_format::{Block, Model, Shape, Tensor};
use flatpack_runtime::{LoadError, RunError, Session, ops};
use thiserror::Error;

/// Why rows cannot be run.
#[derive(Debug, Error)]
pub enum PredictError {
    /// The model does not load.
    #[error("the model does not load: {0}")]
    Load(#[from] LoadError),
    /// A step failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Another number of arrays than the model has inputs.
    #[error("{found} arrays were given, the model has {expected} inputs")]
    Count {
        /// Arrays given.
        found: usize,
        /// Inputs of the model.
        expected: usize,
    },
    /// An array does not hold rows of an input.
    #[error("input {input} takes rows of shape {expected:?}, the array is {found:?}")]
    Shape {
        /// Number of the input.
        input: usize,
        /// The shape of the array.
        found: Vec<usize>,
        /// The shape of one row.
        expected: Vec<u32>,
    },
    /// Arrays with different numbers of rows, or a number that the batch does not divide.
    #[error("{rows} rows in input {input}, expected {expected}")]
    Rows {
        /// Number of the input.
        input: usize,
        /// Rows of its array.
        rows: usize,
        /// What they should be.
        expected: String,
    },
}

/// Extents of a tensor after the batch, and the batch. A tensor without dimensions is a batch of 1.
fn rows_of(shape: &Shape) -> (usize, &[u32]) {
    shape.dims().split_first().map_or((1, &[]), |(batch, row)| (*batch as usize, row))
}

/// The number of rows in an array for an input: its leading dimension, whatever the shape of a row,
/// as long as a row has the right number of elements.
fn row_count(input: usize, array: &Array, tensor: &Tensor<'_>) -> Result<usize, PredictError> {
    let shape = tensor.shape();
    let (_, row) = rows_of(&shape);
    let row_len: usize = row.iter().map(|&d| d as usize).product();
    let without_batch = array.shape.iter().map(|&d| d as u32).eq(row.iter().copied());
    match array.shape.first() {
        _ if without_batch && row_len == array.len() => Ok(1),
        Some(&rows) if rows * row_len == array.len() => Ok(rows),
        _ => Err(PredictError::Shape { input, found: array.shape.clone(), expected: row.to_vec() }),
    }
}

/// Runs a model over rows: one array per input, with any number of rows in the leading dimension.
/// Rows are run batch by batch; each output is stacked again.
///
/// # Errors
/// If the arrays do not fit the inputs, or the model does not load.
pub fn predict(model: Model<'_>, inputs: &[Array]) -> Result<Vec<Array>, PredictError> {
    let tensors: Vec<Tensor<'_>> = model.inputs().collect();
    if tensors.len() != inputs.len() {
        return Err(PredictError::Count { found: inputs.len(), expected: tensors.len() });
    }
    let batch = tensors.first().map_or(1, |t| rows_of(&t.shape()).0);
    let mut rows = None;
    for (input, (array, tensor)) in inputs.iter().zip(&tensors).enumerate() {
        let count = row_count(input, array, tensor)?;
        if *rows.get_or_insert(count) != count {
            let expected = format!("{} as in input 0", rows.unwrap_or(0));
            return Err(PredictError::Rows { input, rows: count, expected });
        }
        if count % batch != 0 {
            let expected = format!("a multiple of {batch}, the batch that the file was built for");
            return Err(PredictError::Rows { input, rows: count, expected });
        }
    }
    let rows = rows.unwrap_or(batch);

    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory))?;
    let mut outputs: Vec<Array> = model
        .outputs()
        .map(|tensor| {
            let shape = tensor.shape();
            let (out_batch, row) = rows_of(&shape);
            let leading = rows / batch * out_batch;
            let shape: Vec<usize> = std::iter::once(leading).chain(row.iter().map(|&d| d as usize)).collect();
            Array { shape, values: Vec::new() }
        })
        .collect();
    for run in 0..rows / batch {
        session.reset();
        for (input, (array, tensor)) in inputs.iter().zip(&tensors).enumerate() {
            let len = tensor.len() as usize;
            if let Some(to) = session.input::<f32>(input) {
                to.copy_from_slice(&array.values[run * len..(run + 1) * len]);
            }
        }
        session.run()?;
        for (index, output) in outputs.iter_mut().enumerate() {
            output.values.extend_from_slice(session.output::<f32>(index).unwrap_or_default());
        }
    }
    Ok(outputs)
}
