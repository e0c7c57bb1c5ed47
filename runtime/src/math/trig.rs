//! Sine and cosine.

use super::{NAN, polynomial, power_of_two};

/// An angle as `quadrant`·π/2 + (r + r_low), modulo 2π.
#[derive(Clone, Copy)]
struct Reduced {
    quadrant: u32,
    /// |r| ≤ π/4.
    r: f32,
    /// What rounding took from `r`.
    r_low: f32,
}

/// The first 224 bits of 2/π after the binary point, behind 32 zeros.
const TWO_OVER_PI: [u32; 8] =
    [0x0000_0000, 0xa2f9_836e, 0x4e44_1529, 0xfc27_57d1, 0xf534_ddc0, 0xdb62_9599, 0x3c43_9041, 0xfe51_63ab];

/// 32 bits of 2/π from bit `at` of `TWO_OVER_PI` on.
fn two_over_pi(at: u32) -> u32 {
    let index = (at >> 5) as usize;
    let word = |index: usize| u64::from(TWO_OVER_PI.get(index).copied().unwrap_or(0));
    ((word(index) << 32 | word(index + 1)) >> (32 - (at & 31))) as u32
}

/// Reduces any finite x, with an error of 2⁻²⁸ of `r`.
///
/// x·2/π is taken modulo 4 as an integer of 64 bits, 62 of them behind the point: x is m·2ᵉ, so
/// all bits of 2/π but the 96 beginning at the first that matters are left out (Payne and Hanek).
fn reduce(x: f32) -> Reduced {
    let a = x.abs();
    if a <= core::f32::consts::FRAC_PI_4 {
        return Reduced { quadrant: 0, r: x, r_low: 0.0 };
    }
    let biased_exponent = a.to_bits() >> 23;
    let m = a.to_bits() & 0x007f_ffff | 0x0080_0000;
    // ¾ < a: the exponent is −1 or more.
    let first_bit = biased_exponent.wrapping_sub(120);
    let m_u64 = u64::from(m);
    let turns = (u64::from(m.wrapping_mul(two_over_pi(first_bit))) << 32)
        .wrapping_add(m_u64 * u64::from(two_over_pi(first_bit + 32)))
        .wrapping_add((m_u64 * u64::from(two_over_pi(first_bit + 64))) >> 32);
    let quadrant = (turns.wrapping_add(1 << 61) >> 62) as u32;
    let fraction = (turns << 2) as i64;

    // |fraction|·2⁻⁶⁴ quarter turns, normalised, times π/2.
    let magnitude = fraction.unsigned_abs() | 1;
    let zeros = magnitude.leading_zeros();
    const HALF_PI_Q30: u64 = 0x6487_ed51;
    let angle = ((((magnitude << zeros) >> 32) * HALF_PI_Q30) >> 32) as u32;
    let unit = power_of_two(-30 - zeros as i32);
    let unit = if (fraction < 0) != (x < 0.0) { -unit } else { unit };
    let high = (angle & !0xff) as f32 * unit;
    let low = (angle & 0xff) as f32 * unit;
    let r = high + low;
    Reduced { quadrant: if x < 0.0 { quadrant.wrapping_neg() } else { quadrant }, r, r_low: (high - r) + low }
}

/// The sine of a reduced angle.
///
/// sin r = r + r³·s(r²), error 2⁻²⁸; cos r = 1 − r²/2 + r⁴·c(r²), error 2⁻³³; both of degree 2.
fn sin_reduced(Reduced { quadrant, r, r_low }: Reduced) -> f32 {
    const S: [f32; 3] = [-1.666_665_5e-1, 8.332_19e-3, -1.951_840_5e-4];
    const C: [f32; 3] = [4.166_664_6e-2, -1.388_730_1e-3, 2.443_067e-5];
    let z = r * r;
    let y = if quadrant & 1 == 0 {
        r + (r_low + r * (z * polynomial(z, &S)))
    } else {
        let half_z = 0.5 * z;
        let high = 1.0 - half_z;
        let lost = (1.0 - high) - half_z;
        high + (lost + (z * z * polynomial(z, &C) - r * r_low))
    };
    if quadrant & 2 == 0 { y } else { -y }
}

/// sin x (radians), within 1 ULP for every finite x. Keeps the sign of zero; [`NAN`] for ±∞.
///
/// Method: reduction to |r| ≤ π/4 by exact integer arithmetic, then a polynomial of degree 7 for
/// the sine or 8 for the cosine.
pub fn sin(x: f32) -> f32 {
    if x == 0.0 {
        x
    } else if x.abs() < f32::INFINITY {
        sin_reduced(reduce(x))
    } else {
        NAN
    }
}

/// cos x (radians), within 1 ULP for every finite x; [`NAN`] for ±∞.
///
/// Method: as [`sin`], a quarter turn ahead.
pub fn cos(x: f32) -> f32 {
    if x.abs() < f32::INFINITY {
        let reduced = reduce(x);
        sin_reduced(Reduced { quadrant: reduced.quadrant.wrapping_add(1), ..reduced })
    } else {
        NAN
    }
}

#[cfg(test)]
mod tests {
    use super::super::ulp::{assert_within, sweep};
    use super::*;

    #[test]
    fn sin_is_within_one_ulp() {
        assert_within("sin", 1.0, sin, libm::sin);
    }

    #[test]
    fn cos_is_within_one_ulp() {
        assert_within("cos", 1.0, cos, libm::cos);
    }

    #[test]
    fn sin_and_cos_stay_in_their_range() {
        for x in sweep().filter(|x| x.is_finite()) {
            assert!(sin(x).abs() <= 1.0, "sin({x:e})");
            assert!(cos(x).abs() <= 1.0, "cos({x:e})");
        }
    }
}
