//! Fixed-point numbers as TensorFlow Lite makes them: what its kernels prepare before they run, done
//! when a file is built. The kernels' own rounding is in `flatpack_runtime::fixed`.

pub(crate) mod functions;

use crate::quant::Quant;
use flatpack_format::ops::{Clamp, Multiplier, OutputI8};

/// The multiplier nearest to a real number: a mantissa of 31 bits and a shift, as
/// `QuantizeMultiplier` computes them. Below about 2⁻³² it is zero.
///
/// `None` if the number is negative, not finite, or too large for a shift.
pub fn multiplier(real: f64) -> Option<Multiplier> {
    if real == 0.0 {
        return Some(Multiplier { mantissa: 0, shift: 0 });
    }
    if !(real > 0.0 && real.is_finite()) {
        return None;
    }
    let (fraction, mut shift) = libm::frexp(real);
    let mut mantissa = (fraction * (1u64 << 31) as f64).round() as i64;
    if mantissa == 1 << 31 {
        mantissa /= 2;
        shift += 1;
    }
    if shift < -31 {
        return Some(Multiplier { mantissa: 0, shift: 0 });
    }
    let made = Multiplier { mantissa: i32::try_from(mantissa).ok()?, shift };
    made.valid().then_some(made)
}

/// What a fused activation leaves of the range of an output, and the output's zero point.
pub fn output(quant: &Quant, clamp: Clamp) -> OutputI8 {
    let (low, high) = quant.range();
    let bound = |real: f32, open: i32| if real.is_finite() { quant.quantize(real) } else { open };
    OutputI8 { zero_point: quant.zero_point(), min: bound(clamp.min, low), max: bound(clamp.max, high) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::DType;

    #[test]
    fn a_multiplier_is_its_number() {
        for real in [1.0, 0.5, 0.7, 3.9, 1e-9, 1e6, 0.999_999_999_9] {
            let made = multiplier(real).unwrap();
            let value = f64::from(made.mantissa) * 2f64.powi(made.shift - 31);
            assert!((value - real).abs() <= real * 2f64.powi(-31), "{real}: {made:?}");
        }
        assert_eq!(multiplier(1.0), Some(Multiplier { mantissa: 1 << 30, shift: 1 }));
        assert_eq!(multiplier(2f64.powi(-40)), Some(Multiplier { mantissa: 0, shift: 0 }));
        assert_eq!([-1.0, f64::NAN, f64::INFINITY, 1e12].map(multiplier), [None; 4]);
    }

    #[test]
    fn relu6_bounds_the_output_from_its_zero_point_on() {
        let quant = Quant::per_tensor(DType::I8, 0.05, -100);
        let relu6 = output(&quant, Clamp { min: 0.0, max: 6.0 });
        assert_eq!((relu6.zero_point, relu6.min, relu6.max), (-100, -100, 20));
        let none = output(&quant, Clamp::NONE);
        assert_eq!((none.min, none.max), (-128, 127));
    }
}
