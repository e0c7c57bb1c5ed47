//! The ranges of all activations, from the values that samples give them.

use super::ranges::{Histogram, Method, Range};
use crate::array::Array;
use crate::build::Built;
use crate::graph::{Graph, TensorId};
use crate::observe::{Seen, observe};
use crate::ops;
use crate::predict::PredictError;
use flatpack_format::OpCode;
use std::collections::{HashMap, HashSet};
use thiserror::Error;

/// Why samples give no ranges.
#[derive(Debug, Error)]
pub enum CalibrateError {
    /// The samples do not fit the inputs.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// A value that is no number.
    #[error("layer `{layer}` computes {value} from sample {row}")]
    NotFinite {
        /// The layer, or the input.
        layer: String,
        /// Number of the sample, or of the first of its batch.
        row: usize,
        /// An infinity or a NaN.
        value: f32,
    },
}

/// What samples say of a graph of reals.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// The range of each activation.
    pub ranges: HashMap<TensorId, Range>,
    /// The mean of each element of the activations that are multiplied with weights.
    pub means: HashMap<TensorId, Vec<f32>>,
}

/// Runs the file that was built of a graph of reals over samples, and takes the range of each of the
/// graph's activations by a method. `samples` has an array for each input. `progress` is told after
/// each run how many rows are done, of all the times that they are gone over.
///
/// # Errors
/// If the samples do not fit the inputs, or give infinities or NaNs.
pub fn statistics(
    built: &Built,
    graph: &Graph,
    samples: &[Array],
    method: Method,
    mut progress: impl FnMut(usize),
) -> Result<Statistics, CalibrateError> {
    let source = memory_of(graph);
    let weighted = graph.nodes.iter().filter(|node| ops::operator(node.op).linear.is_some());
    let weighted: HashSet<TensorId> = weighted.map(|node| source(node.inputs[0])).collect();
    let mut sums: HashMap<TensorId, Vec<f64>> = HashMap::new();
    let mut ranges: HashMap<TensorId, Range> = HashMap::new();
    let (mut at, mut runs) = (0, 0);
    observe(built, samples, |seen: Seen<'_>| {
        if let Some(&value) = seen.values.iter().find(|v| !v.is_finite()) {
            let layer = graph.tensor(seen.id).name.clone();
            return Err(CalibrateError::NotFinite { layer, row: seen.row, value });
        }
        let range = ranges.entry(seen.id).or_insert(Range::EMPTY);
        *range = range.join(Range::of(seen.values));
        if weighted.contains(&seen.id) {
            let sums = sums.entry(seen.id).or_insert_with(|| vec![0.0; seen.values.len()]);
            sums.iter_mut().zip(seen.values).for_each(|(sum, &v)| *sum += f64::from(v));
        }
        if at != seen.row || runs == 0 {
            (at, runs) = (seen.row, runs + 1);
            progress(at);
        }
        Ok(())
    })?;
    if method != Method::MinMax {
        let first = at;
        let mut histograms: HashMap<TensorId, Histogram> =
            ranges.iter().map(|(&id, &range)| (id, Histogram::new(range))).collect();
        observe(built, samples, |seen: Seen<'_>| {
            if let Some(histogram) = histograms.get_mut(&seen.id) {
                histogram.add(seen.values);
            }
            if at != first + seen.row {
                at = first + seen.row;
                progress(at);
            }
            Ok::<(), CalibrateError>(())
        })?;
        ranges = histograms.into_iter().map(|(id, histogram)| (id, histogram.range(method))).collect();
    }
    let mean = |sums: Vec<f64>| sums.into_iter().map(|sum| (sum / f64::from(runs)) as f32).collect();
    let means = sums.into_iter().map(|(id, sums)| (id, mean(sums))).collect();
    let mut statistics = Statistics { ranges, means };
    for id in graph.nodes.iter().map(|node| node.output) {
        let from = source(id);
        if let (None, Some(&range)) = (statistics.ranges.get(&id), statistics.ranges.get(&from)) {
            statistics.ranges.insert(id, range);
        }
        if let (None, Some(mean)) = (statistics.means.get(&id), statistics.means.get(&from)) {
            statistics.means.insert(id, mean.clone());
        }
    }
    Ok(statistics)
}

/// The tensor whose memory a reshape's output is: reshapes are no steps of a file.
fn memory_of(graph: &Graph) -> impl Fn(TensorId) -> TensorId {
    let mut renamed: HashMap<TensorId, TensorId> = HashMap::new();
    for node in graph.nodes.iter().filter(|node| node.op == OpCode::Reshape) {
        let input = node.inputs[0];
        let from = renamed.get(&input).copied().unwrap_or(input);
        renamed.insert(node.output, from);
    }
    move |id| renamed.get(&id).copied().unwrap_or(id)
}
