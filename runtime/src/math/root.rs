//! The square root and its reciprocal.

use super::NAN;

/// √x, correctly rounded: the same bits as any hardware instruction. √−0 = −0; [`NAN`] for negative
/// x.
///
/// Method: for the mantissa in [1, 4), two Newton steps for 1/√m from the usual guess by halving
/// the exponent, then one for √m, which leaves less than 1.5 units of the last place; an exact
/// integer remainder decides about the last unit.
#[inline]
pub fn sqrt(x: f32) -> f32 {
    const ONE_BITS: u32 = 0x3f80_0000;
    const IMPLICIT_BIT: u32 = 1 << 23;
    let subnormal = x < f32::MIN_POSITIVE;
    let bits = if subnormal { x * 16_777_216.0 } else { x }.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let odd = exponent as u32 & 1;
    let fraction = bits & (IMPLICIT_BIT - 1);

    let m = f32::from_bits((ONE_BITS + (odd << 23)) | fraction);
    let guess = f32::from_bits(0x5f37_59df_u32.wrapping_sub(m.to_bits() >> 1));
    let y = guess * (1.5 - 0.5 * m * guess * guess);
    let y = y * (1.5 - 0.5 * m * y * y);
    let root = m * y;
    let root = root + 0.5 * y * (m - root * root);

    // In units of 2⁻²³ the root is this integer s, give or take 1, and m·2⁴⁶ is `square` modulo
    // 2³². √m is nearest to s if −s < m·2⁴⁶ − s² ≤ s; that difference is below 2²⁶.
    let s = root.to_bits().wrapping_sub(ONE_BITS).wrapping_add(IMPLICIT_BIT) as i32;
    let square = (((IMPLICIT_BIT | fraction) << odd) << 23) as i32;
    let remainder = square.wrapping_sub(s.wrapping_mul(s));
    let s = s + i32::from(remainder > s) - i32::from(remainder <= s.wrapping_neg());

    let half_exponent = exponent >> 1;
    let y = f32::from_bits(s.wrapping_add((half_exponent + 126) << 23) as u32);
    let y = if subnormal { y * (1.0 / 4096.0) } else { y };
    let y = if x == 0.0 || x == f32::INFINITY { x } else { y };
    if x >= 0.0 { y } else { NAN }
}

/// 1/√x, within 1.5 ULP. ±∞ at ±0; [`NAN`] for negative x.
///
/// Method: the reciprocal of [`sqrt`].
#[inline]
pub fn rsqrt(x: f32) -> f32 {
    if x >= 0.0 { 1.0 / sqrt(x) } else { NAN }
}

#[cfg(test)]
mod tests {
    use super::super::ulp::assert_within;
    use super::*;

    #[test]
    fn sqrt_is_correctly_rounded() {
        assert_within("sqrt", 0.5, sqrt, libm::sqrt);
    }

    #[test]
    fn sqrt_is_correctly_rounded_for_every_mantissa() {
        // Rounding the root first to f64 is harmless: 53 ≥ 2·24 + 2.
        for bits in 1.0_f32.to_bits()..4.0_f32.to_bits() {
            let x = f32::from_bits(bits);
            assert_eq!(sqrt(x), libm::sqrt(x.into()) as f32, "sqrt({x:e})");
        }
    }

    #[test]
    fn rsqrt_is_within_one_and_a_half_ulp() {
        assert_within("rsqrt", 1.5, rsqrt, |x| 1.0 / libm::sqrt(x));
    }
}
