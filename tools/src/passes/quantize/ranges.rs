//! From the values that a tensor takes to the scale and zero point of the 8-bit integers that stand
//! for them.

use crate::quant::Quant;
use flatpack_format::DType;
use std::fmt;
use std::str::FromStr;

/// Scales below this have no product with another in float32.
const SMALLEST_SCALE: f64 = 1e-30;

/// The smallest and the largest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Range {
    /// The range of no values: joined with another, it is the other.
    pub const EMPTY: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// The range of these values.
    pub fn of(values: &[f32]) -> Self {
        values.iter().fold(Self::EMPTY, |range, &v| Self {
            min: range.min.min(v.into()),
            max: range.max.max(v.into()),
        })
    }

    /// The smallest range that holds both.
    pub fn join(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// Whether it is the range of no values.
    pub fn is_empty(&self) -> bool {
        self.min > self.max
    }

    /// It and zero.
    fn with_zero(self) -> Self {
        self.join(Self { min: 0.0, max: 0.0 })
    }

    /// Signed bytes for the reals of this range. The range is made to hold zero, and moved by less than
    /// half a step so that an integer stands for zero exactly: TensorFlow Lite's scheme for activations.
    /// Where all values are zero, any scale does; it is 1.
    ///
    /// # Errors
    /// If the range is too small for a scale in float32, or not finite.
    pub fn quant(self) -> Result<Quant, String> {
        let Self { min, max } = self.with_zero();
        if min == max {
            return Ok(Quant::per_tensor(DType::I8, 1.0, 0));
        }
        let scale = ((max - min) / 255.0) as f32;
        if !scale.is_finite() {
            return Err(format!("its values reach from {min:e} to {max:e}, which no scale covers"));
        }
        if f64::from(scale) < SMALLEST_SCALE {
            return Err(format!(
                "its values lie between {min:e} and {max:e}, too close to zero for a scale in float32"
            ));
        }
        let zero_point = (-128.0 - min / f64::from(scale)).round().clamp(-128.0, 127.0) as i32;
        Ok(Quant::per_tensor(DType::I8, scale, zero_point))
    }
}

/// How the range of a tensor is taken from the values of the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// From the smallest to the largest.
    MinMax,
    /// Without the values beyond this percentile of those that are not zero, on either side. Zeros cost
    /// nothing to represent, and many of them would make outliers of all else.
    Percentile(f64),
    /// The range with the smallest mean square of what rounding and cutting off change.
    Mse,
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "minmax" => Ok(Self::MinMax),
            None if text == "mse" => Ok(Self::Mse),
            Some(("percentile", percent)) => match percent.parse::<f64>() {
                Ok(percent) if percent > 50.0 && percent <= 100.0 => Ok(Self::Percentile(percent)),
                _ => Err("the percentile is a number above 50 and up to 100, such as 99.9".into()),
            },
            _ => Err("expected minmax, mse, or a percentile such as percentile:99.9".into()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinMax => f.write_str("minmax"),
            Self::Percentile(percent) => write!(f, "percentile:{percent}"),
            Self::Mse => f.write_str("mse"),
        }
    }
}

/// Bins of a histogram: eight for each of the 256 integers.
const BINS: usize = 2048;

/// How often values fall into bins of equal width over a range.
#[derive(Clone, Debug)]
pub struct Histogram {
    range: Range,
    counts: Vec<u64>,
    /// Of the values that are exactly zero, which cost nothing to represent.
    zeros: u64,
}

impl Histogram {
    /// An empty histogram over the range of the values that it will be given.
    pub fn new(range: Range) -> Self {
        Self { range, counts: vec![0; BINS], zeros: 0 }
    }

    fn width(&self) -> f64 {
        (self.range.max - self.range.min) / BINS as f64
    }

    fn bin(&self, value: f64) -> usize {
        (((value - self.range.min) / self.width()) as usize).min(BINS - 1)
    }

    /// Counts values.
    pub fn add(&mut self, values: &[f32]) {
        if self.width() > 0.0 {
            let (min, per_value) = (self.range.min, 1.0 / self.width());
            for &value in values {
                let bin = ((f64::from(value) - min) * per_value) as usize;
                self.counts[bin.min(BINS - 1)] += 1;
            }
            self.zeros += values.iter().filter(|&&value| value == 0.0).count() as u64;
        }
    }

    /// How many values that are not exactly zero fall into each bin.
    fn nonzero(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        let zero = self.bin(0.0);
        let zeros = move |bin: usize| if bin == zero { self.zeros } else { 0 };
        self.counts.iter().enumerate().map(move |(bin, &count)| count.saturating_sub(zeros(bin)))
    }

    /// The range that a method takes.
    pub fn range(&self, method: Method) -> Range {
        if self.nonzero().all(|count| count == 0) {
            return self.range;
        }
        match method {
            Method::MinMax => self.range,
            Method::Percentile(percent) => self.percentile(percent),
            Method::Mse => self.least_error(),
        }
    }

    /// The range without the bins beyond a percentile of the values, on either side.
    fn percentile(&self, percent: f64) -> Range {
        let beyond = self.nonzero().sum::<u64>() as f64 * (100.0 - percent) / 100.0;
        let bins_beyond = |counts: &mut dyn Iterator<Item = u64>| {
            let mut sum = 0;
            let is_beyond = |count: &u64| {
                sum += count;
                sum as f64 <= beyond
            };
            counts.take_while(is_beyond).count()
        };
        let low = bins_beyond(&mut self.nonzero());
        let high = BINS - bins_beyond(&mut self.nonzero().rev());
        let edge = |bin: usize| match bin {
            0 => self.range.min,
            BINS => self.range.max,
            _ => self.range.min + bin as f64 * self.width(),
        };
        Range { min: edge(low), max: edge(high.max(low + 1)) }
    }

    /// The range with the least squared error: of values within it, a twelfth of the squared step,
    /// that of an even distribution between two integers; of those beyond it, the squared distance from
    /// its end. Each end is tried at hundredths of the whole range.
    fn least_error(&self) -> Range {
        const PARTS: u32 = 100;
        let sums = Sums::new(self);
        let whole = self.range.with_zero();
        let ends = |end: f64| (1..=PARTS).rev().map(move |part| end * f64::from(part) / f64::from(PARTS));
        let ends = |end: f64| ends(end).take(if end == 0.0 { 1 } else { PARTS as usize });
        let mut best = (whole, f64::INFINITY);
        for min in ends(whole.min) {
            for max in ends(whole.max) {
                let candidate = Range { min, max };
                let error = sums.error(self, candidate);
                if error < best.1 {
                    best = (candidate, error);
                }
            }
        }
        best.0
    }
}

/// Sums over the first bins of a histogram: number, values, squared values. Zeros are left out.
struct Sums([Vec<f64>; 3]);

impl Sums {
    fn new(histogram: &Histogram) -> Self {
        let mut sums = [const { Vec::new() }; 3];
        sums.iter_mut().for_each(|sums| sums.push(0.0));
        for (bin, count) in histogram.nonzero().enumerate() {
            let count = count as f64;
            let centre = histogram.range.min + (bin as f64 + 0.5) * histogram.width();
            for (power, sums) in (0..).zip(&mut sums) {
                sums.push(sums[bin] + count * centre.powi(power));
            }
        }
        Self(sums)
    }

    /// `Σ (v − end)²` over some bins, from their centres.
    fn distances(&self, bins: std::ops::Range<usize>, end: f64) -> f64 {
        let [count, sum, squares] = [0, 1, 2].map(|power| {
            let sums: &Vec<f64> = &self.0[power];
            sums[bins.end] - sums[bins.start]
        });
        (squares - 2.0 * end * sum + end * end * count).max(0.0)
    }

    fn error(&self, histogram: &Histogram, candidate: Range) -> f64 {
        let low = if candidate.min > histogram.range.min { histogram.bin(candidate.min) } else { 0 };
        let high = if candidate.max < histogram.range.max { histogram.bin(candidate.max) + 1 } else { BINS };
        let high = high.clamp(low, BINS);
        let step = (candidate.max - candidate.min) / 255.0;
        let within = self.0[0][high] - self.0[0][low];
        self.distances(0..low, candidate.min)
            + self.distances(high..BINS, candidate.max)
            + within * step * step / 12.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::new(Range::of(values));
        histogram.add(values);
        histogram
    }

    #[test]
    fn scales_are_those_of_the_published_scheme() {
        // From the formulas of TensorFlow Lite's specification, by hand.
        let quant = |min, max| {
            let quant = Range { min, max }.quant().unwrap();
            (quant.scale(), quant.zero_point())
        };
        assert_eq!(quant(0.0, 255.0), (1.0, -128));
        // The half is rounded away from zero.
        assert_eq!(quant(-127.5, 127.5), (1.0, -1));
        assert_eq!(quant(-255.0, 0.0), (1.0, 127));
        // Zero is in every range.
        assert_eq!(quant(51.0, 255.0), (1.0, -128));
        assert_eq!(quant(-255.0, -3.0), (1.0, 127));
        assert_eq!(quant(-10.0, 245.0), (1.0, -118));
        assert_eq!(quant(0.0, 0.0), (1.0, 0));
    }

    #[test]
    fn a_range_without_a_scale_is_refused() {
        assert!(Range { min: 0.0, max: 1e-36 }.quant().unwrap_err().contains("too close to zero"));
        assert!(Range { min: -1e300, max: 1e300 }.quant().unwrap_err().contains("no scale"));
    }

    proptest! {
        #[test]
        fn zero_is_exact_and_both_ends_are_within_a_step(a in -1e6f32..1e6, b in -1e6f32..1e6) {
            let range = Range::of(&[a, b]);
            let quant = range.quant().unwrap();
            prop_assert_eq!(quant.reals(&[quant.quantize(0.0)], &[1]), [0.0]);
            for end in [a, b] {
                let back = quant.reals(&[quant.quantize(end)], &[1])[0];
                prop_assert!((back - end).abs() <= quant.scale() * 0.5001, "{end} {back} {quant:?}");
            }
        }

        #[test]
        fn every_method_takes_a_part_of_the_range(values in prop::collection::vec(-9f32..9.0, 1..300)) {
            let histogram = filled(&values);
            let whole = Range::of(&values).with_zero();
            for method in [Method::MinMax, Method::Percentile(99.0), Method::Percentile(51.0), Method::Mse] {
                let range = histogram.range(method);
                prop_assert!(!range.is_empty(), "{method}: {range:?}");
                prop_assert!(range.min >= whole.min && range.max <= whole.max, "{method}: {range:?}");
            }
            prop_assert_eq!(histogram.range(Method::Percentile(100.0)), Range::of(&values));
        }
    }

    #[test]
    fn an_outlier_is_cut_off_where_that_costs_less() {
        let even: Vec<f32> = (0..100_000).map(|i| (i % 1000) as f32 / 1000.0).collect();
        let mut histogram = Histogram::new(Range { min: 0.0, max: 40.0 });
        histogram.add(&[40.0]);
        histogram.add(&even);
        assert_eq!(histogram.range(Method::MinMax), Range { min: 0.0, max: 40.0 });
        let percentile = histogram.range(Method::Percentile(99.9));
        assert!(percentile.max > 0.98 && percentile.max < 1.02, "{percentile:?}");
        // Of n values cut to h, n · (h / 255)² / 12 + (40 − h)² is least at h = 40 / (1 + n / 780,300).
        for n in [100_000.0, 2_100_000.0] {
            let (found, least) = (histogram.range(Method::Mse).max, 40.0 / (1.0 + n / 780_300.0));
            assert!((found - least).abs() < 0.5, "{found} for {least}");
            (0..20).for_each(|_| histogram.add(&even));
        }
    }

    #[test]
    fn the_range_of_least_error_is_the_one_that_rounding_shows() {
        // Many small values and few large ones; the error is computed by rounding each.
        let values: Vec<f32> = (1..=200_000u32)
            .map(|i| {
                let even = f64::from(i.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
                (if i % 2 == 0 { even.ln() } else { -even.ln() }) as f32
            })
            .collect();
        let histogram = filled(&values);
        let cost = |range: Range| {
            let quant = range.quant().unwrap();
            let square = |&v: &f32| f64::from(quant.reals(&[quant.quantize(v)], &[1])[0] - v).powi(2);
            values.iter().map(square).sum::<f64>()
        };
        let found = cost(histogram.range(Method::Mse));
        let whole = histogram.range(Method::MinMax);
        for part in 1..=20 {
            let part = f64::from(part) / 20.0;
            let candidate = Range { min: whole.min * part, max: whole.max * part };
            assert!(found <= cost(candidate) * 1.02, "{candidate:?} is better");
        }
        assert!(found < 0.9 * cost(whole));
    }

    #[test]
    fn rare_values_among_zeros_are_no_outliers() {
        let mut values = vec![0.0; 1_000_000];
        values[7..12].copy_from_slice(&[1.0, 0.5, -0.25, 1.0, 0.75]);
        let range = filled(&values).range(Method::Percentile(99.9));
        assert_eq!(range, Range { min: -0.25, max: 1.0 });
        assert_eq!(filled(&[0.0; 9]).range(Method::Percentile(99.9)), Range { min: 0.0, max: 0.0 });
    }

    #[test]
    fn methods_are_written_as_they_are_read() {
        for text in ["minmax", "mse", "percentile:99.9", "percentile:100"] {
            assert_eq!(text.parse::<Method>().unwrap().to_string(), text);
        }
        for text in ["", "max", "percentile", "percentile:10", "percentile:x", "mse:1"] {
            assert!(text.parse::<Method>().is_err(), "{text}");
        }
    }
}
