//! How far a file that computes with integers is from the one that computes with reals, layer by layer.

use crate::array::Array;
use crate::build::Built;
use crate::graph::TensorId;
use crate::observe::{Seen, observe};
use crate::predict::{PredictError, Rows};
use crate::quant::Quant;
use std::collections::HashMap;

/// The difference that integers make to what one step computes.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerError {
    /// The layer.
    pub layer: String,
    /// The operator.
    pub op: &'static str,
    /// Sum of the squares of what reals give.
    pub signal: f64,
    /// Sum of the squares of the differences.
    pub noise: f64,
    /// The largest difference.
    pub worst: f32,
    /// The step between neighbouring integers, where integers hold the result.
    pub scale: Option<f32>,
    /// The largest magnitude of what reals give.
    pub largest: f32,
    /// Root of the mean square of what reals give.
    pub rms: f32,
    /// Part of the elements that lie at the end of what the integers reach, and beyond it by more than
    /// a step with reals.
    pub beyond: f64,
}

impl LayerError {
    /// The ratio of signal to noise in decibels: infinite where there is no noise.
    pub fn snr_db(&self) -> f64 {
        if self.noise == 0.0 { f64::INFINITY } else { 10.0 * (self.signal / self.noise).log10() }
    }
}

/// Compares two files over rows. `same_as` names the tensor of `reals` that a tensor of `integers`
/// holds in another form. The errors are in the order of the steps.
///
/// # Errors
/// If the rows do not fit.
pub fn compare(
    reals: &Built,
    integers: &Built,
    same_as: &HashMap<TensorId, TensorId>,
    rows: &[Array],
) -> Result<Vec<LayerError>, PredictError> {
    let layers: HashMap<TensorId, String> =
        integers.plan.steps.iter().map(|node| (node.output, node.layer.clone())).collect();
    let mut order: Vec<TensorId> = Vec::new();
    let mut errors: HashMap<TensorId, LayerError> = HashMap::new();
    let mut elements: HashMap<TensorId, usize> = HashMap::new();
    let all = Rows::of(&reals.model(), rows)?;
    for sequence in 0..all.sequences() {
        let rows = all.part(rows, sequence..sequence + 1);
        let mut truth: HashMap<(TensorId, usize), Vec<f32>> = HashMap::new();
        observe(reals, &rows, |seen: Seen<'_>| {
            truth.insert((seen.id, seen.row), seen.values.to_vec());
            Ok::<(), PredictError>(())
        })?;
        observe(integers, &rows, |seen: Seen<'_>| {
            let of = same_as.get(&seen.id).unwrap_or(&seen.id);
            let (Some(op), Some(want)) = (seen.op, truth.get(&(*of, seen.row))) else { return Ok(()) };
            // The same as the integers that it is made of.
            if *of != seen.id && seen.quant.is_none() {
                return Ok(());
            }
            let error = errors.entry(seen.id).or_insert_with(|| {
                order.push(seen.id);
                LayerError::new(layers[&seen.id].clone(), op, seen.quant.as_ref().map(Quant::scale))
            });
            error.add(&seen, want);
            *elements.entry(seen.id).or_default() += want.len();
            Ok::<(), PredictError>(())
        })?;
    }
    let finished = |id: TensorId| {
        let mut error = errors.remove(&id)?;
        let count = elements[&id].max(1) as f64;
        error.rms = (error.signal / count).sqrt() as f32;
        error.beyond /= count;
        Some(error)
    };
    Ok(order.into_iter().filter_map(finished).collect())
}

impl LayerError {
    fn new(layer: String, op: &'static str, scale: Option<f32>) -> Self {
        let (signal, noise, worst, largest, rms, beyond) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        Self { layer, op, signal, noise, worst, scale, largest, rms, beyond }
    }

    fn add(&mut self, seen: &Seen<'_>, want: &[f32]) {
        let ends = seen.quant.as_ref().map(|quant| {
            let (low, high) = quant.range();
            let end = |q: i32| quant.scale() * (q - quant.zero_point()) as f32;
            (end(low), end(high), quant.scale())
        });
        for (&got, &want) in seen.values.iter().zip(want) {
            let difference = got - want;
            self.signal += f64::from(want).powi(2);
            self.noise += f64::from(difference).powi(2);
            self.worst = self.worst.max(difference.abs());
            self.largest = self.largest.max(want.abs());
            if let Some((low, high, step)) = ends {
                let beyond = (got == high && want > high + step) || (got == low && want < low - step);
                self.beyond += f64::from(u8::from(beyond));
            }
        }
    }
}
