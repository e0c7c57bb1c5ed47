//! The ranges of all activations, from the values that samples give them.

use super::ranges::{Histogram, Method, Range};
use crate::array::Array;
use crate::build::Built;
use crate::graph::{Graph, TensorId};
use crate::observe::{Seen, observe};
use crate::predict::PredictError;
use flatpack_format::OpCode;
use std::collections::HashMap;
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

/// Runs the file that was built of a graph of reals over samples, and takes the range of each of the
/// graph's activations by a method. `samples` has an array for each input. `progress` is told after
/// each run how many rows are done, of all the times that they are gone over.
///
/// # Errors
/// If the samples do not fit the inputs, or give infinities or NaNs.
pub fn ranges(
    built: &Built,
    graph: &Graph,
    samples: &[Array],
    method: Method,
    mut progress: impl FnMut(usize),
) -> Result<HashMap<TensorId, Range>, CalibrateError> {
    let mut ranges: HashMap<TensorId, Range> = HashMap::new();
    let mut at = 0;
    observe(built, samples, |seen: Seen<'_>| {
        if let Some(&value) = seen.values.iter().find(|v| !v.is_finite()) {
            let layer = graph.tensor(seen.id).name.clone();
            return Err(CalibrateError::NotFinite { layer, row: seen.row, value });
        }
        let range = ranges.entry(seen.id).or_insert(Range::EMPTY);
        *range = range.join(Range::of(seen.values));
        if at != seen.row {
            at = seen.row;
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
    // What only renames memory is no step of the file.
    for node in graph.nodes.iter().filter(|node| node.op == OpCode::Reshape) {
        if let (None, Some(&range)) = (ranges.get(&node.output), ranges.get(&node.inputs[0])) {
            ranges.insert(node.output, range);
        }
    }
    Ok(ranges)
}
