//! Functions of activations, with products that are added with one rounding: fewer instructions than
//! [`math`](crate::math) takes, whose results are nearer.

use crate::arch::clamp;
use crate::math::{ERF_FAR, ERF_FAR_FROM, ERF_FAR_TO, ERF_NEAR, EXP_BEYOND_LINEAR as Q};
use core::f32::consts::LOG2_E;

/// ln 2, and what it is short of.
const LN_2: f32 = core::f32::consts::LN_2;
const LN_2_REST: f32 = -1.904_654_3e-9;

/// `−a = n · ln 2 + r` for `0 ≤ a ≤ 87.33`, with n whole and |r| ≤ ½ ln 2.
struct Reduced {
    /// Of which the last bits are those of n.
    shifted: f32,
    r: f32,
}

impl Reduced {
    #[inline(always)]
    fn negative(a: f32) -> Self {
        // 1.5 · 2²³: the last bit of the sum is worth 1.
        const SHIFT: f32 = 12_582_912.0;
        let shifted = (-a).mul_add(LOG2_E, SHIFT);
        let n = shifted - SHIFT;
        Self { shifted, r: n.mul_add(-LN_2_REST, n.mul_add(-LN_2, -a)) }
    }

    /// `(eʳ − 1) / r`
    #[inline(always)]
    fn slope(&self) -> f32 {
        let [q0, q1, q2, q3, q4] = Q;
        let r = self.r;
        r.mul_add(r.mul_add(r.mul_add(r.mul_add(r.mul_add(q4, q3), q2), q1), q0), 1.0)
    }

    /// `2ⁿ`
    #[inline(always)]
    fn power(&self) -> f32 {
        f32::from_bits((self.shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()))
    }
}

/// `eˣ` for x ≤ 0, within 3 ULP; zero where it is less than 2⁻¹²⁶. A NaN stays.
#[inline(always)]
pub(in crate::arch) fn exp_of_negative(x: f32) -> f32 {
    const MOST: f32 = 87.33;
    let of = Reduced::negative(clamp(-x, 0.0, MOST));
    let z = of.power() * of.r.mul_add(of.slope(), 1.0);
    if -x > MOST { 0.0 } else { z }
}

/// The logistic function `1 / (1 + e⁻ˣ)`, within 3 ULP; zero where it is less than 2⁻¹²⁶. A NaN stays.
///
/// Method: with `z = e^(−|x|)`, `z / (1 + z)` for negative x, `1 / (1 + z)` otherwise.
#[inline(always)]
pub(in crate::arch) fn logistic(x: f32) -> f32 {
    let z = exp_of_negative(-x.abs());
    (if x < 0.0 { z } else { 1.0 }) / (1.0 + z)
}

/// `tanh x = (1 − e^(−2x)) / (1 + e^(−2x))`, within 3 ULP, near 0, too. Odd; a NaN stays.
///
/// Method: with `e = e^(−2|x|) − 1`, `−e / (2 + e)`.
#[inline(always)]
pub(in crate::arch) fn tanh(x: f32) -> f32 {
    let of = Reduced::negative(2.0 * clamp(x.abs(), 0.0, 10.0));
    let power = of.power();
    let e = (power * of.r).mul_add(of.slope(), power - 1.0);
    (-e / (2.0 + e)).copysign(x)
}

/// The error function, within 3 ULP, near 0, too. Odd; a NaN stays.
///
/// Method: that of [`math::erf`](crate::math::erf), of which all lanes compute both parts.
#[inline(always)]
pub(in crate::arch) fn erf(x: f32) -> f32 {
    let a = x.abs();
    let near = a.mul_add(polynomial(a * a, &ERF_NEAR), a);
    let b = clamp(a, ERF_FAR_FROM, ERF_FAR_TO);
    let of = Reduced::negative(-b * polynomial(b, &ERF_FAR));
    let far = 1.0 - of.power() * of.r.mul_add(of.slope(), 1.0);
    (if a < ERF_FAR_FROM { near } else { far }).copysign(x)
}

/// `c[0] + c[1] · x + c[2] · x² + …`, by Horner's rule.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, c: &[f32; N]) -> f32 {
    let mut from_highest = c.iter().rev();
    let highest = from_highest.next().copied().unwrap_or(0.0);
    from_highest.fold(highest, |sum, c| sum.mul_add(x, *c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::ulp::{assert_all_within, sweep};

    #[test]
    fn exp_of_negative_is_within_three_ulp() {
        let numbers = || sweep().filter(|x| *x <= 0.0);
        let normal = numbers().filter(|x| *x >= -87.33);
        assert_all_within("exp", 3.0, normal.map(|x| (x, exp_of_negative(x), libm::exp(x.into()))));
        assert!(numbers().all(|x| (exp_of_negative(x) == 0.0) == (x < -87.33)));
        assert_eq!(exp_of_negative(0.0), 1.0);
    }

    #[test]
    fn logistic_is_within_three_ulp() {
        let exact = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        let numbers = || sweep().filter(|x| !x.is_nan());
        let normal = numbers().filter(|x| *x >= -87.33);
        assert_all_within("logistic", 3.0, normal.map(|x| (x, logistic(x), exact(x.into()))));
        assert!(
            numbers().all(|x| (0.0..=1.0).contains(&logistic(x)) && (logistic(x) == 0.0) == (x < -87.33))
        );
    }

    #[test]
    fn tanh_is_within_three_ulp() {
        let numbers = sweep().filter(|x| !x.is_nan());
        assert_all_within("tanh", 3.0, numbers.map(|x| (x, tanh(x), libm::tanh(x.into()))));
        assert!(sweep().all(|x| x.is_nan() || tanh(x).abs() <= 1.0));
    }

    #[test]
    fn erf_is_within_three_ulp() {
        let numbers = sweep().filter(|x| !x.is_nan());
        assert_all_within("erf", 3.0, numbers.map(|x| (x, erf(x), libm::erf(x.into()))));
        assert!(sweep().all(|x| x.is_nan() || erf(x).abs() <= 1.0));
    }

    #[test]
    fn a_nan_stays() {
        for x in sweep().filter(|x| x.is_nan()) {
            assert!(
                exp_of_negative(x).is_nan() && logistic(x).is_nan() && tanh(x).is_nan() && erf(x).is_nan()
            );
        }
    }
}
