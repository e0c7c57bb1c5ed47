//! The natural logarithm and the functions made of it.

use super::exp::{LN_2_HIGH, LN_2_LOW, exp};
use super::{NAN, polynomial, unless_nan};

/// x = 2ᵏ·m with √½ ≤ m < √2, for positive finite x.
#[derive(Clone, Copy)]
pub(super) struct Split {
    pub(super) k: f32,
    pub(super) m: f32,
}

/// Splits a positive finite `x`; any other gives some numbers.
#[inline]
pub(super) fn split(x: f32) -> Split {
    const SQRT_HALF_BITS: i32 = 0x3f35_04f3;
    let subnormal = x < f32::MIN_POSITIVE;
    let (x, k_of_factor) = if subnormal { (x * 33_554_432.0, 25) } else { (x, 0) };
    let bits = x.to_bits() as i32;
    let k = bits.wrapping_sub(SQRT_HALF_BITS) >> 23;
    let m = f32::from_bits(bits.wrapping_sub(k << 23) as u32);
    Split { k: k.wrapping_sub(k_of_factor) as f32, m }
}

/// ln(2ᵏ·m) + `rest`, for a `rest` of the order of the result's rounding error.
///
/// With f = m − 1 and s = f/(2 + f), ln m = 2 artanh s = 2s + s³·a(s²) = f − s·(f − s²·a(s²)), a of
/// degree 3, error 2⁻³⁵ of the result.
#[inline]
fn ln_of_split(Split { k, m }: Split, rest: f32) -> f32 {
    const A: [f32; 4] = [6.666_666e-1, 4.000_097_2e-1, 2.849_879_3e-1, 2.427_885_7e-1];
    let f = m - 1.0;
    let s = f / (f + 2.0);
    let z = s * s;
    let beyond_linear = s * (f - z * polynomial(z, &A));
    let whole = k * LN_2_HIGH;
    let high = whole + f;
    let lost = (whole - high) + f;
    high + (lost + (k * LN_2_LOW + (rest - beyond_linear)))
}

/// ln x, within 1 ULP, subnormal arguments included. ln ±0 = −∞; [`NAN`] for negative x.
///
/// Method: x = 2ᵏ·m with m around 1, then k·ln 2 + 2 artanh((m − 1)/(m + 1)); the polynomial has
/// degree 3 in the square of the quotient.
#[inline]
pub fn ln(x: f32) -> f32 {
    let y = ln_of_split(split(x), 0.0);
    let y = if x == f32::INFINITY { x } else { y };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x >= 0.0 { y } else { NAN }
}

/// ln(1 + x), within 1 ULP, near 0 too. Keeps the sign of zero; −∞ at −1; [`NAN`] below.
///
/// Method: with u = 1 + x as rounded and c what the rounding took, ln u + c/u.
#[inline]
pub fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    let lost = x - (u - 1.0);
    let y = ln_of_split(split(u), lost / u);
    let y = if x == f32::INFINITY { x } else { y };
    let y = if x == -1.0 { f32::NEG_INFINITY } else { y };
    if x >= -1.0 { y.copysign(x) } else { NAN }
}

/// ln(1 + eˣ), within 1.75 ULP, subnormal results included.
///
/// Method: max(x, 0) + ln(1 + e^(−|x|)).
#[inline]
pub fn softplus(x: f32) -> f32 {
    let positive = if x > 0.0 { x } else { 0.0 };
    unless_nan(x, positive + ln_1p(exp(-x.abs())))
}

#[cfg(test)]
mod tests {
    use super::super::ulp::assert_within;
    use super::*;

    #[test]
    fn ln_is_within_one_ulp() {
        assert_within("ln", 1.0, ln, libm::log);
    }

    #[test]
    fn ln_1p_is_within_one_ulp() {
        assert_within("ln_1p", 1.0, ln_1p, libm::log1p);
    }

    #[test]
    fn softplus_is_within_one_and_three_quarters_ulp() {
        assert_within("softplus", 1.75, softplus, |x| {
            let positive = if x < 0.0 { 0.0 } else { x };
            positive + libm::log1p(libm::exp(-x.abs()))
        });
    }
}
