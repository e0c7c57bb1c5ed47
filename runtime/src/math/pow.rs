//! Powers, by way of a logarithm with twice the bits of an `f32`.

use super::exp::{LN_2_HIGH, LN_2_LOW, Reduced, clamp, exp_reduced, reduce, scale};
use super::ln::{Split, split};
use super::{NAN, polynomial, round_half_even};

/// The unevaluated sum `high + low`, with |low| at most the rounding error of `high`.
#[derive(Clone, Copy)]
struct Pair {
    high: f32,
    low: f32,
}

/// a + b, exactly if a = 0 or |a| ≥ |b|.
fn sum(a: f32, b: f32) -> Pair {
    let high = a + b;
    Pair { high, low: (a - high) + b }
}

/// a·b, exactly as long as nothing underflows: both factors are cut into halves of 12 significant
/// bits, whose products an `f32` holds.
fn product(a: f32, b: f32) -> Pair {
    let upper_half = |x: f32| f32::from_bits(x.to_bits() & 0xffff_f000);
    let (a_high, b_high) = (upper_half(a), upper_half(b));
    let (a_low, b_low) = (a - a_high, b - b_high);
    let high = a * b;
    let low = ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low;
    Pair { high, low }
}

/// ln x for positive finite x, error 2⁻³³ of the result.
///
/// As in `ln`, but each step carries its rounding error along: s = (m − 1)/(m + 1), z = s²,
/// ln m = 2s·(1 + z/3 + z²·q(z)), q of degree 2, error 2⁻³⁶·⁸.
fn ln_in_two(x: f32) -> Pair {
    const THIRD: f32 = 1.0 / 3.0;
    const THIRD_LOW: f32 = -9.934_108e-9;
    const Q: [f32; 3] = [2.000_007_6e-1, 1.427_354_5e-1, 1.170_981_7e-1];
    let Split { k, m } = split(x);
    let f = m - 1.0;
    let d = m + 1.0;
    let d_low = m - (d - 1.0);
    let s = f / d;
    let f_again = product(s, d);
    let s_low = ((f - f_again.high) - f_again.low - s * d_low) / d;
    let Pair { high: z, low: z_low } = product(s, s);
    let z_low = z_low + 2.0 * s * s_low;
    let third = product(z, THIRD);
    let third_low = third.low + z_low * THIRD + z * THIRD_LOW;
    let t = sum(third.high, third_low + z * z * polynomial(z, &Q));
    let s_t = product(s, t.high);
    let s_t_low = s_t.low + s * t.low + s_low * t.high;
    let half_ln_m = sum(s, s_t.high);
    let half_ln_m_low = half_ln_m.low + s_low + s_t_low;
    let y = sum(k * LN_2_HIGH, 2.0 * half_ln_m.high);
    sum(y.high, y.low + (2.0 * half_ln_m_low + k * LN_2_LOW))
}

/// xʸ, within 1 ULP, subnormal results included.
///
/// As in C: 1 if y = 0 or x = 1, whatever the other is, and for (−1)^±∞; otherwise [`NAN`] if
/// either is a NaN, or if x is negative, finite and y not an integer; negative results only for
/// odd y and negative x, −0 and −∞ included; 0 to a negative power is infinite.
///
/// Method: e^(y·ln |x|), where the logarithm and the product with y are sums of two `f32` (about 33
/// bits); the exponential as in [`exp`](super::exp()).
pub fn pow(x: f32, y: f32) -> f32 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return NAN;
    }
    let y_is_integer = round_half_even(y) == y;
    let y_is_odd = y_is_integer && round_half_even(0.5 * y) != 0.5 * y;
    let a = x.abs();
    let magnitude = if a == 0.0 || a == f32::INFINITY {
        if (a == 0.0) == (y < 0.0) { f32::INFINITY } else { 0.0 }
    } else if x < 0.0 && !y_is_integer {
        return NAN;
    } else {
        // No |ln a| but 0 is below 2⁻²⁵: a larger |y| changes nothing, but would overflow.
        let y = clamp(y, -1.0e12, 1.0e12);
        let l = ln_in_two(a);
        let exponent = product(y, l.high);
        let exponent_low = exponent.low + y * l.low;
        if exponent.high > 89.0 {
            f32::INFINITY
        } else if exponent.high < -104.0 {
            0.0
        } else {
            let Reduced { n, r, r_low } = reduce(exponent.high);
            let r = sum(r, r_low + exponent_low);
            scale(exp_reduced(r.high, r.low), n)
        }
    };
    if x.is_sign_negative() && y_is_odd { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::super::ulp::{assert_all_within, stride};
    use super::*;

    #[test]
    fn pow_is_within_one_ulp() {
        // Bases from the whole range, around 1 and next to 1; exponents such that the result falls
        // anywhere from below the smallest subnormal to above the largest number.
        let mut state = 1_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32
        };
        let mut unit = |from: f64, to: f64| from + (to - from) * f64::from(random()) / 4_294_967_296.0;
        let pairs = (0..2_000_000_000 / stride()).map(|i| {
            let x = match i % 3 {
                0 => f32::from_bits(unit(1.0, 2_139_095_040.0) as u32),
                1 => unit(0.5, 2.0) as f32,
                _ => unit(0.9995, 1.0005) as f32,
            };
            let log2_of_result = unit(-152.0, 130.0);
            (x, (log2_of_result / libm::log2(f64::from(x))) as f32)
        });
        let cases = pairs.map(|(x, y)| ((x, y), pow(x, y), libm::pow(x.into(), y.into())));
        assert_all_within("pow", 1.0, cases);
    }

    #[test]
    fn pow_treats_special_arguments_as_c_does() {
        const SPECIAL: [f32; 25] = [
            0.0,
            1e-45,
            1.1754944e-38,
            1e-20,
            0.5,
            0.99999994,
            1.0,
            1.0000001,
            1.5,
            2.0,
            2.5,
            3.0,
            4.0,
            127.0,
            128.0,
            149.0,
            150.0,
            8388607.0,
            8388607.5,
            16777215.0,
            16777216.0,
            1e10,
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
        ];
        let signed = || SPECIAL.into_iter().flat_map(|x| [x, -x]);
        let pairs = signed().flat_map(|x| signed().map(move |y| (x, y)));
        let cases = pairs.map(|(x, y)| ((x, y), pow(x, y), libm::pow(x.into(), y.into())));
        assert_all_within("pow, special arguments", 1.0, cases);
    }
}
