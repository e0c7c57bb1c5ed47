//! Running a file over many rows: what `flatpack run`, `eval` and a data scientist's `predict` do.

use crate::array::Array;
use flatpack_format::{Block, DType, Model, Shape, Tensor};
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

/// Writes an input of the model; integers as they are stored.
fn give(session: &mut Session<'_>, input: usize, dtype: DType, values: &[f32]) {
    fn copy<T>(to: Option<&mut [T]>, values: &[f32], of: impl Fn(f32) -> T) {
        to.into_iter().flatten().zip(values).for_each(|(to, &value)| *to = of(value));
    }
    match dtype {
        DType::I8 => copy(session.input::<i8>(input), values, |v| v as i8),
        DType::U8 => copy(session.input::<u8>(input), values, |v| v as u8),
        DType::I16 => copy(session.input::<i16>(input), values, |v| v as i16),
        DType::I32 => copy(session.input::<i32>(input), values, |v| v as i32),
        _ => copy(session.input::<f32>(input), values, |v| v),
    }
}

/// Appends an output of the model; integers as they are stored.
fn take(session: &Session<'_>, output: usize, dtype: DType, values: &mut Vec<f32>) {
    fn append<T: Copy>(values: &mut Vec<f32>, from: Option<&[T]>, of: impl Fn(T) -> f32) {
        values.extend(from.into_iter().flatten().map(|&value| of(value)));
    }
    match dtype {
        DType::I8 => append(values, session.output::<i8>(output), f32::from),
        DType::U8 => append(values, session.output::<u8>(output), f32::from),
        DType::I16 => append(values, session.output::<i16>(output), f32::from),
        DType::I32 => append(values, session.output::<i32>(output), |v| v as f32),
        _ => append(values, session.output::<f32>(output), |v| v),
    }
}

/// Runs a model over rows: one array per input, with any number of rows in the leading dimension,
/// integers as they are stored.
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
            give(&mut session, input, tensor.dtype(), &array.values[run * len..(run + 1) * len]);
        }
        session.run()?;
        for (index, (output, tensor)) in outputs.iter_mut().zip(model.outputs()).enumerate() {
            take(&session, index, tensor.dtype(), &mut output.values);
        }
    }
    Ok(outputs)
}
