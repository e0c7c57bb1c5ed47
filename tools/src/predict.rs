//! Running a file over many rows: what `flatpack run`, `eval` and a data scientist's `predict` do.

use crate::array::Array;
use crate::isa::{self, IsaError};
use crate::quant::Quant;
use bytemuck::pod_read_unaligned;
use flatpack_format::ops::recurrence::{KEPT, Recurrence};
use flatpack_format::{DType, Model, OpCode, Shape, Tensor};
use flatpack_runtime::golden::element;
use flatpack_runtime::{Arena, LoadError, RunError, Session};
use std::ops::Range;
use thiserror::Error;

/// Why rows cannot be run.
#[derive(Debug, Error)]
pub enum PredictError {
    /// The model does not load.
    #[error("the model does not load: {0}")]
    Load(#[from] LoadError),
    /// An instruction set was asked for that is not here.
    #[error(transparent)]
    Isa(#[from] IsaError),
    /// A step failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The system makes no more threads.
    #[error("no thread can be made: {0}")]
    Threads(std::io::Error),
    /// The system has not so much memory left.
    #[error("the model needs {bytes} bytes of memory, which the system does not give: {error}")]
    Memory {
        /// What a session takes.
        bytes: usize,
        /// What the system says.
        error: std::io::Error,
    },
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
/// as long as a row has the right number of elements. Then, how many of them are one sequence.
fn row_count(
    input: usize,
    array: &Array,
    tensor: &Tensor<'_>,
    is_stream: bool,
) -> Result<(usize, usize), PredictError> {
    let shape = tensor.shape();
    let (_, row) = rows_of(&shape);
    let row_len: usize = row.iter().map(|&d| d as usize).product();
    let without_batch = array.shape.iter().map(|&d| d as u32).eq(row.iter().copied());
    match array.shape.first() {
        _ if without_batch && row_len == array.len() => Ok((1, 1)),
        Some(&rows) if rows * row_len == array.len() => Ok((rows, 1)),
        _ => {
            let sequences = if is_stream { of_sequences(array, shape.dims()) } else { None };
            let found = array.shape.clone();
            sequences.ok_or_else(|| PredictError::Shape { input, found, expected: row.to_vec() })
        }
    }
}

/// Whether a recurrent operator goes on where the run before left it.
fn is_stream(model: &Model<'_>) -> bool {
    use OpCode as Op;
    let recurrent = [
        Op::UnidirectionalSequenceLstm,
        Op::UnidirectionalSequenceGru,
        Op::UnidirectionalSequenceRnn,
        Op::UnidirectionalSequenceLstmW8,
        Op::UnidirectionalSequenceGruW8,
        Op::UnidirectionalSequenceRnnW8,
        Op::UnidirectionalSequenceLstmW16,
        Op::UnidirectionalSequenceGruW16,
        Op::UnidirectionalSequenceRnnW16,
    ];
    let walk = |params: &[u8]| params.get(..size_of::<Recurrence>()).map(pod_read_unaligned::<Recurrence>);
    let keeps = |params| walk(params).is_some_and(|walk| walk.start == KEPT);
    model.steps().any(|step| recurrent.contains(&step.op()) && keeps(step.params()))
}

/// The same of an array of whole sequences, `[sequences, moments, …]`, for a model that takes some moments in a run.
fn of_sequences(array: &Array, dims: &[u32]) -> Option<(usize, usize)> {
    let (&[count, length, ref of_array @ ..], &[1, moments, ref of_run @ ..]) = (&array.shape[..], dims)
    else {
        return None;
    };
    let fits = of_array.iter().map(|&d| d as u32).eq(of_run.iter().copied());
    // Where nothing follows the moments, they are told from features by being one by one.
    let are_moments = moments == 1 || !of_run.is_empty();
    let runs = length.checked_div(moments as usize).filter(|runs| runs * moments as usize == length)?;
    (fits && are_moments && runs > 0).then_some((count * runs, runs))
}

/// How arrays fill the inputs of a model, batch by batch.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// Rows in each array.
    pub count: usize,
    /// Rows that one run computes.
    pub batch: usize,
    /// Runs that are one sequence: each of them but the first finds the state that the one before left.
    pub sequence: usize,
}

impl Rows {
    /// The rows of arrays, one for each input, with any number of rows in the leading dimension; or of whole
    /// sequences, for a stream that takes `[1, moments, …]`.
    ///
    /// # Errors
    /// If the arrays do not fit the inputs.
    pub fn of(model: &Model<'_>, inputs: &[Array]) -> Result<Self, PredictError> {
        let tensors: Vec<Tensor<'_>> = model.inputs().collect();
        if tensors.len() != inputs.len() {
            return Err(PredictError::Count { found: inputs.len(), expected: tensors.len() });
        }
        let batch = tensors.first().map_or(1, |t| rows_of(&t.shape()).0);
        let mut rows = None;
        for (input, (array, tensor)) in inputs.iter().zip(&tensors).enumerate() {
            let (count, sequence) = row_count(input, array, tensor, is_stream(model))?;
            let (first, of_first) = *rows.get_or_insert((count, sequence));
            if (first, of_first) != (count, sequence) {
                let expected = match of_first {
                    1 => format!("{first} as in input 0"),
                    _ => format!("{first} in sequences of {of_first}, as in input 0"),
                };
                return Err(PredictError::Rows { input, rows: count, expected });
            }
            if count % batch != 0 {
                let expected = format!("a multiple of {batch}, the batch that the file was built for");
                return Err(PredictError::Rows { input, rows: count, expected });
            }
        }
        let (count, sequence) = rows.unwrap_or((batch, 1));
        Ok(Self { count, batch, sequence })
    }

    /// How often the model is run.
    pub fn runs(&self) -> usize {
        self.count / self.batch
    }

    /// How many sequences there are: as many as runs, where each begins anew.
    pub fn sequences(&self) -> usize {
        self.runs() / self.sequence
    }

    /// The rows of some of the sequences.
    pub fn part(&self, inputs: &[Array], sequences: Range<usize>) -> Vec<Array> {
        let all = self.sequences().max(1);
        let part = |array: &Array| {
            let one = array.len() / all;
            let mut shape = array.shape.clone();
            match shape.first_mut() {
                Some(leading) if *leading % all == 0 => *leading = *leading / all * sequences.len(),
                _ => {}
            }
            let values = array.values[one * sequences.start..one * sequences.end].to_vec();
            Array::new(shape, values).stored_as(array.dtype)
        };
        inputs.iter().map(part).collect()
    }

    /// Writes the inputs of one run.
    pub(crate) fn give(&self, session: &mut Session<'_>, inputs: &[Array], run: usize) {
        let model = session.model();
        for (input, (array, tensor)) in inputs.iter().zip(model.inputs()).enumerate() {
            let len = tensor.len() as usize;
            let values = &array.values[run * len..(run + 1) * len];
            let integers = (array.dtype != tensor.dtype()).then(|| quant(&model, &tensor)).flatten();
            match (tensor.dtype(), integers) {
                (DType::F32, _) => copy(session.input::<f32>(input), values, |v| v),
                (DType::U8, Some(quant)) => copy(session.input(input), values, |v| quant.quantize(v) as u8),
                (DType::U8, None) => copy(session.input(input), values, |v| v as u8),
                (DType::I8, Some(quant)) => copy(session.input(input), values, |v| quant.quantize(v) as i8),
                (DType::I8, None) => copy(session.input(input), values, |v| v as i8),
                (DType::I16, Some(quant)) => copy(session.input(input), values, |v| quant.quantize(v) as i16),
                (DType::I16, None) => copy(session.input(input), values, |v| v as i16),
                (DType::I32, _) => copy(session.input(input), values, |v| v as i32),
                (DType::F16 | DType::Bool, _) => {}
            }
        }
    }
}

fn copy<T>(to: Option<&mut [T]>, values: &[f32], of: impl Fn(f32) -> T) {
    to.into_iter().flatten().zip(values).for_each(|(to, &value)| *to = of(value));
}

/// How the integers of a tensor stand for reals, where they do.
pub(crate) fn quant(model: &Model<'_>, tensor: &Tensor<'_>) -> Option<Quant> {
    let record = model.quants().get(tensor.quant()? as usize)?;
    Some(Quant::per_tensor(tensor.dtype(), record.scale, record.zero_point))
}

/// The elements of a tensor as floats: the reals that they stand for by `quant`, or as they are.
pub(crate) fn floats(tensor: Tensor<'_>, bytes: &[u8], quant: Option<&Quant>) -> Vec<f32> {
    if tensor.dtype() == DType::F32 {
        return bytemuck::try_cast_slice(bytes).map(<[f32]>::to_vec).unwrap_or_default();
    }
    let elements = (0..tensor.len()).map(|index| element(tensor, bytes, index));
    match quant {
        Some(quant) => elements.map(|v| quant.scale() * (v - quant.zero_point() as f32)).collect(),
        None => elements.collect(),
    }
}

/// What outputs of integers are given as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// The reals that they stand for, where the file says which.
    Reals,
    /// Themselves.
    Raw,
}

/// Runs a model over rows, and gives its outputs as reals.
///
/// # Errors
/// As [`predict_as`].
pub fn predict(model: Model<'_>, inputs: &[Array]) -> Result<Vec<Array>, PredictError> {
    predict_as(model, inputs, Outputs::Reals)
}

/// Runs a model over rows: one array per input, with any number of rows in the leading dimension.
/// Rows are run batch by batch, each from the initial state, or each but the first of a sequence from the one that the
/// run before left; each output is stacked again. An input of integers takes an array that
/// was stored in its type as it is, and the integers that stand for the values of any other.
///
/// # Errors
/// If the arrays do not fit the inputs, or the model does not load.
pub fn predict_as(model: Model<'_>, inputs: &[Array], outputs: Outputs) -> Result<Vec<Array>, PredictError> {
    predict_with(model, inputs, Options { outputs, ..Options::default() })
}

/// How a model runs over rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What outputs of integers are given as.
    pub outputs: Outputs,
    /// How many threads compute large steps together.
    pub threads: usize,
    /// Rows are steps of a stream: each batch finds the state that the one before left.
    pub keep_state: bool,
}

impl Default for Options {
    /// Reals, one thread, each batch by itself.
    fn default() -> Self {
        Self { outputs: Outputs::Reals, threads: 1, keep_state: false }
    }
}

/// As [`predict_as`], with more to choose.
///
/// # Errors
/// As [`predict_as`], and if the system has no memory left or makes no more threads.
pub fn predict_with(
    model: Model<'_>,
    inputs: &[Array],
    options: Options,
) -> Result<Vec<Array>, PredictError> {
    let Options { outputs, threads, keep_state } = options;
    let rows = Rows::of(&model, inputs)?;
    let bytes = Session::memory_bytes(&model);
    let mut memory = Arena::of(&model).map_err(|error| PredictError::Memory { bytes, error })?;
    let session = Session::load(model, isa::kernels()?, memory.bytes_mut())?;
    let mut session = session.with_threads(threads).map_err(PredictError::Threads)?;
    let quants: Vec<Option<Quant>> =
        model.outputs().map(|tensor| quant(&model, &tensor).filter(|_| outputs == Outputs::Reals)).collect();
    let mut values: Vec<Vec<f32>> = vec![Vec::new(); quants.len()];
    for run in 0..rows.runs() {
        if !keep_state && run % rows.sequence == 0 {
            session.reset();
        }
        rows.give(&mut session, inputs, run);
        session.run()?;
        for ((tensor, quant), values) in model.outputs().zip(&quants).zip(&mut values) {
            values.extend(floats(tensor, session.bytes(tensor).unwrap_or_default(), quant.as_ref()));
        }
    }
    let stacked = |((tensor, quant), values): ((Tensor<'_>, Option<Quant>), Vec<f32>)| {
        let shape = tensor.shape();
        let (batch, row) = rows_of(&shape);
        let leading = rows.runs() * batch;
        let shape: Vec<usize> = std::iter::once(leading).chain(row.iter().map(|&d| d as usize)).collect();
        let raw = quant.is_none() && matches!(tensor.dtype(), DType::I8 | DType::U8);
        Array::new(shape, values).stored_as(if raw { tensor.dtype() } else { DType::F32 })
    };
    Ok(model.outputs().zip(quants).zip(values).map(stacked).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{Built, Goldens, Options, build};
    use crate::graph::Graph;
    use flatpack_format::OpCode;
    use flatpack_format::ops::Clamp;
    use flatpack_format::ops::clip::ClipParams;

    /// A file that bounds two integers from below by zero.
    fn relu(dtype: DType, zero_point: i32) -> Built {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 2]).unwrap());
        let params = ClipParams { clamp: Clamp { min: 0.0, max: f32::INFINITY } };
        let y = graph.add_node("relu", OpCode::Clip, params, &[x]).unwrap();
        graph.outputs.push(y);
        for id in [x, y] {
            graph.tensors[id.0].quant = Some(Quant::per_tensor(dtype, 0.5, zero_point));
        }
        let options = Options { goldens: Goldens::Predicted(1), ..Options::default() };
        build(graph, &options).unwrap()
    }

    #[test]
    fn integers_are_given_as_they_are_and_reals_by_their_scale() {
        for (dtype, zero_point) in [(DType::I8, 10), (DType::U8, 138)] {
            let built = relu(dtype, zero_point);
            let reals = Array::new([2, 2], vec![-3.0, 1.5, 0.3, 1000.0]);
            let high = if dtype == DType::I8 { 127 } else { 255 };
            let raw =
                Array::new([2, 2], [0, 3, 1, high - zero_point].map(|v| (v + zero_point) as f32).to_vec());
            let largest = (high - zero_point) as f32 * 0.5;
            let want = [0.0, 1.5, 0.5, largest];
            for input in [reals, raw.clone().stored_as(dtype)] {
                let outputs = predict(built.model(), std::slice::from_ref(&input)).unwrap();
                assert_eq!(outputs[0], Array::new([2, 2], want.to_vec()), "{dtype:?} {input:?}");
                let outputs = predict_as(built.model(), &[input], Outputs::Raw).unwrap();
                assert_eq!(outputs[0], raw.clone().stored_as(dtype));
            }
        }
    }
}
