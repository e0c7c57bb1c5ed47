//! How integers stand for reals: TensorFlow Lite's affine quantisation, `real = scale · (q −
//! zero_point)`.

use flatpack_format::DType;

/// How the integers of a tensor stand for its reals.
#[derive(Clone, Debug, PartialEq)]
pub struct Quant {
    /// Type of the integers.
    pub dtype: DType,
    /// One scale, or one for each index along `axis`. Positive and finite.
    pub scales: Vec<f32>,
    /// The integers that stand for zero: as many as scales.
    pub zero_points: Vec<i32>,
    /// The axis along which scales differ; 0 where there is one.
    pub axis: usize,
    /// The source has these integers 128 higher, as unsigned bytes.
    pub unsigned: bool,
}

impl Quant {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(dtype: DType, scale: f32, zero_point: i32) -> Self {
        Self { dtype, scales: vec![scale], zero_points: vec![zero_point], axis: 0, unsigned: false }
    }

    /// Symmetric, with a scale for each index along `axis`.
    pub fn per_channel(dtype: DType, scales: Vec<f32>, axis: usize) -> Self {
        let zero_points = vec![0; scales.len()];
        Self { dtype, scales, zero_points, axis, unsigned: false }
    }

    /// The scale of a tensor that has one: the first.
    pub fn scale(&self) -> f32 {
        self.scales[0]
    }

    /// The scale as a term of a product or quotient of scales. Where the sources of TensorFlow Lite round
    /// one of those to float32, the package of TensorFlow Lite Micro, as it is built, does not.
    pub fn real_scale(&self) -> f64 {
        self.scale().into()
    }

    /// The zero point of a tensor that has one: the first.
    pub fn zero_point(&self) -> i32 {
        self.zero_points[0]
    }

    /// Whether there is one scale.
    pub fn is_per_tensor(&self) -> bool {
        self.scales.len() == 1
    }

    /// Smallest and largest integer of the type.
    pub fn range(&self) -> (i32, i32) {
        match self.dtype {
            DType::U8 => (0, 255),
            DType::I16 => (-32768, 32767),
            DType::I32 => (i32::MIN, i32::MAX),
            _ => (-128, 127),
        }
    }

    /// Scale and zero point of the element with this flat index in a tensor of extents `dims`.
    fn of(&self, index: usize, dims: &[u32]) -> (f32, i32) {
        let inner: usize = dims.iter().skip(self.axis + 1).map(|&d| d as usize).product();
        let channel = if self.is_per_tensor() { 0 } else { index / inner % self.scales.len() };
        (self.scales[channel], self.zero_points[channel])
    }

    /// The reals that `integers`, a tensor of extents `dims`, stand for.
    pub fn reals(&self, integers: &[i32], dims: &[u32]) -> Vec<f32> {
        let real = |(index, &q): (usize, &i32)| {
            let (scale, zero_point) = self.of(index, dims);
            scale * (i64::from(q) - i64::from(zero_point)) as f32
        };
        integers.iter().enumerate().map(real).collect()
    }

    /// The nearest integer to a real, away from zero where two are, within the range of the type: as
    /// TensorFlow Lite's `AffineQuantize`. A NaN becomes the zero point.
    pub fn quantize(&self, real: f32) -> i32 {
        let (low, high) = self.range();
        let steps = (real / self.scale()).round();
        let steps = if steps.is_nan() { 0 } else { f64::from(steps).clamp(-1e10, 1e10) as i64 };
        (steps + i64::from(self.zero_point())).clamp(low.into(), high.into()) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_away_from_zero_and_the_range_bounds_them() {
        let quant = Quant::per_tensor(DType::I8, 0.5, 3);
        assert_eq!(
            [0.25, -0.25, 0.24, 1e9, -1e9, f32::NAN].map(|v| quant.quantize(v)),
            [4, 2, 3, 127, -128, 3]
        );
    }

    #[test]
    fn channels_have_scales_of_their_own() {
        let quant = Quant::per_channel(DType::I8, vec![1.0, 10.0, 100.0], 1);
        assert_eq!(quant.reals(&[1, 2, 3, 4, 5, 6], &[2, 3]), [1.0, 20.0, 300.0, 4.0, 50.0, 600.0]);
    }
}
