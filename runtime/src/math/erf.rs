//! The error function.

use super::exp::{Reduced, clamp, exp_reduced, reduce};
use super::{polynomial, power_of_two, unless_nan};

/// erf x = 2/√π · ∫₀ˣ e^(−t²) dt, within 1.25 ULP, near 0 too. Odd; ±1 from |x| = 3.92 on.
///
/// Method: below 0.9375, x + x·p(x²) with p of degree 6, error 2⁻²⁹·⁹ of the result; from there on
/// 1 − e^q(|x|), where q of degree 6 is ln erfc up to 3.95, error 2⁻²⁹·² of erf.
#[inline]
pub fn erf(x: f32) -> f32 {
    const P: [f32; 7] = [
        1.283_791_7e-1,
        -3.761_263e-1,
        1.128_363_2e-1,
        -2.685_645_2e-2,
        5.194_839_6e-3,
        -8.082_092_4e-4,
        8.144_361e-5,
    ];
    const Q: [f32; 7] = [
        -1.774_965_3e-4,
        -1.127_749_6,
        -6.370_597_5e-1,
        -1.040_373_6e-1,
        2.227_708e-2,
        -3.055_602_5e-3,
        1.971_807_4e-4,
    ];
    let a = x.abs();
    let y = if a < 0.9375 {
        a + a * polynomial(a * a, &P)
    } else {
        let Reduced { n, r, r_low } = reduce(polynomial(clamp(a, 0.9375, 3.95), &Q));
        1.0 - power_of_two(n) * exp_reduced(r, r_low)
    };
    unless_nan(x, y.copysign(x))
}

#[cfg(test)]
mod tests {
    use super::super::ulp::{assert_within, sweep};
    use super::*;

    #[test]
    fn erf_is_within_one_and_a_quarter_ulp() {
        assert_within("erf", 1.25, erf, libm::erf);
    }

    #[test]
    fn erf_stays_in_its_range() {
        for x in sweep().filter(|x| !x.is_nan()) {
            assert!(erf(x).abs() <= 1.0, "erf({x:e})");
        }
    }
}
