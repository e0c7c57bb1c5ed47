//! The exponential and the functions made of it.
//!
//! All share one reduction, x = n·ln 2 + r with n whole and |r| ≤ ½ ln 2, and one polynomial,
//! eʳ = 1 + r + r²·q(r).

use super::{polynomial, power_of_two, unless_nan};

/// ln 2 in two parts. The first has 15 significant bits: its product with an integer below 2⁹ is
/// exact.
pub(super) const LN_2_HIGH: f32 = 0.693_145_75;
pub(super) const LN_2_LOW: f32 = 1.428_606_8e-6;

/// x = n·ln 2 + (r + r_low).
#[derive(Clone, Copy)]
pub(super) struct Reduced {
    /// Nearest integer to x / ln 2.
    pub(super) n: i32,
    /// |r| ≤ 0.347.
    pub(super) r: f32,
    /// What rounding took from `r`.
    pub(super) r_low: f32,
}

/// Reduces |x| ≤ 105. A NaN gives a NaN `r` and any `n`.
#[inline]
pub(super) fn reduce(x: f32) -> Reduced {
    // 1.5·2²³: the sum's last bit is worth 1, so adding it rounds to the nearest integer.
    const SHIFT: f32 = 12_582_912.0;
    let shifted = x * core::f32::consts::LOG2_E + SHIFT;
    let n = (shifted.to_bits() as i32).wrapping_sub(SHIFT.to_bits() as i32);
    let n_f32 = shifted - SHIFT;
    let high = x - n_f32 * LN_2_HIGH;
    let low = n_f32 * LN_2_LOW;
    let r = high - low;
    Reduced { n, r, r_low: (high - r) - low }
}

/// q of eʳ − 1 − r = r²·q(r) for |r| ≤ 0.347; error 2⁻²⁶·¹ of `r`.
pub(crate) const EXP_BEYOND_LINEAR: [f32; 5] =
    [0.5, 1.666_653_9e-1, 4.166_661_2e-2, 8.367_1e-3, 1.391_761_9e-3];

/// eʳ − 1 − r for |r| ≤ 0.347.
#[inline]
fn exp_beyond_linear(r: f32) -> f32 {
    r * r * polynomial(r, &EXP_BEYOND_LINEAR)
}

/// e^(r + r_low) as a sum whose first term is the larger.
#[inline]
fn exp_reduced_in_two(r: f32, r_low: f32) -> (f32, f32) {
    let high = 1.0 + r;
    let lost = (1.0 - high) + r;
    (high, lost + (r_low + exp_beyond_linear(r)))
}

/// e^(r + r_low) for |r| ≤ 0.347 and an `r_low` not above r's rounding error.
#[inline]
pub(super) fn exp_reduced(r: f32, r_low: f32) -> f32 {
    let (high, low) = exp_reduced_in_two(r, r_low);
    high + low
}

/// y·2ⁿ for −252 ≤ n ≤ 254 and `y` near 1, in two steps because neither 2¹²⁸ nor 2⁻¹⁴⁹ is a normal
/// number.
#[inline]
pub(super) fn scale(y: f32, n: i32) -> f32 {
    let half = n >> 1;
    y * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `x` limited to `low..=high`; a NaN stays.
#[inline]
pub(super) fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > high { high } else { x };
    if x < low { low } else { x }
}

/// eˣ, within 1 ULP, subnormal results included.
///
/// Infinite above 88.723, 0 below −103.972.
///
/// Method: 2ⁿ·(1 + r + r²·q(r)), q of degree 4; the rounding of 1 + r is made good.
#[inline]
pub fn exp(x: f32) -> f32 {
    let Reduced { n, r, r_low } = reduce(clamp(x, -104.0, 89.0));
    unless_nan(x, scale(exp_reduced(r, r_low), n))
}

/// eˣ − 1, within 1.25 ULP, near 0 too. Keeps the sign of zero.
///
/// Infinite above 88.723, −1 below −17.33.
///
/// Method: (2ⁿ − 1) + 2ⁿ·(r + r²·q(r)), q as in [`exp`]; the rounding of the first sum is made
/// good.
#[inline]
pub fn exp_m1(x: f32) -> f32 {
    let Reduced { n, r, r_low } = reduce(clamp(x, -18.0, 89.0));
    // 2¹²⁸ is applied as 2¹²⁷·2.
    let most = if n > 127 { 127 } else { n };
    let power = power_of_two(most);
    let whole = power - 1.0;
    let linear = power * r;
    let high = whole + linear;
    let lost = (whole - high) + linear;
    let y = high + (lost + power * (r_low + exp_beyond_linear(r)));
    let y = y * power_of_two(n.wrapping_sub(most));
    unless_nan(x, y.copysign(x))
}

/// tanh x = (e²ˣ − 1) / (e²ˣ + 1), within 1.5 ULP, near 0 too. Odd; ±1 from |x| = 9.02 on.
///
/// Method: below 0.6, x + x³·p(x²) with p of degree 4, error 2⁻²⁸·⁴ of the result; from there on
/// 1 − 2/(e²ˣ + 1).
#[inline]
pub fn tanh(x: f32) -> f32 {
    const P: [f32; 5] = [-3.333_33e-1, 1.333_193_6e-1, -5.378_471_7e-2, 2.079_862_5e-2, -5.897_966_7e-3];
    let a = x.abs();
    let y = if a < 0.6 {
        let z = a * a;
        a + a * (z * polynomial(z, &P))
    } else {
        let Reduced { n, r, r_low } = reduce(2.0 * clamp(a, 0.6, 10.0));
        1.0 - 2.0 / (power_of_two(n) * exp_reduced(r, r_low) + 1.0)
    };
    unless_nan(x, y.copysign(x))
}

/// The logistic function 1 / (1 + e⁻ˣ), within 1.5 ULP, subnormal results included.
///
/// Method: with z = e^(−|x|), z/(1 + z) for negative x, 1 − z/(1 + z) otherwise. The numerator is
/// corrected, to first order, for the rounding of 1 + z.
#[inline]
pub fn logistic(x: f32) -> f32 {
    let Reduced { n, r, r_low } = reduce(-clamp(x.abs(), 0.0, 104.0));
    let (high, low) = exp_reduced_in_two(r, r_low);
    let y = high + low;
    // 2⁻¹²⁶ stands for everything smaller: 1 + z is 1 all the same.
    let z = y * power_of_two(if n < -126 { -126 } else { n });
    let denominator = 1.0 + z;
    let lost = (1.0 - denominator) + z;
    // 1 − z/2 is near enough to 1/(1 + z) for a correction of half an ULP.
    let numerator = high + (low - y * lost * (1.0 - 0.5 * z));
    let lower = scale(numerator / denominator, n);
    unless_nan(x, if x < 0.0 { lower } else { 1.0 - lower })
}

#[cfg(test)]
mod tests {
    use super::super::ulp::{assert_within, sweep};
    use super::*;

    #[test]
    fn exp_is_within_one_ulp() {
        assert_within("exp", 1.0, exp, libm::exp);
    }

    #[test]
    fn exp_m1_is_within_one_and_a_quarter_ulp() {
        assert_within("exp_m1", 1.25, exp_m1, libm::expm1);
    }

    #[test]
    fn tanh_is_within_one_and_a_half_ulp() {
        assert_within("tanh", 1.5, tanh, libm::tanh);
    }

    #[test]
    fn logistic_is_within_one_and_a_half_ulp() {
        assert_within("logistic", 1.5, logistic, |x| 1.0 / (1.0 + libm::exp(-x)));
    }

    #[test]
    fn tanh_and_logistic_stay_in_their_range() {
        for x in sweep().filter(|x| !x.is_nan()) {
            assert!(tanh(x).abs() <= 1.0, "tanh({x:e})");
            assert!((0.0..=1.0).contains(&logistic(x)), "logistic({x:e})");
        }
    }
}
