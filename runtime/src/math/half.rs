//! binary16.

/// The value of a binary16, which binary32 always holds. Without a subnormal number on the way: some
/// machines are slow with them, or take them for zero.
#[inline]
pub fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    // The exponent's bias is 15 here and 127 there.
    let value = if magnitude < ONE_EXPONENT {
        // A subnormal is fraction · 2⁻²⁴, and 2⁻¹⁴ · (1 + fraction / 1024) is 2⁻¹⁴ more.
        f32::from_bits(magnitude | SMALLEST_NORMAL) - f32::from_bits(SMALLEST_NORMAL)
    } else if magnitude < 31 * ONE_EXPONENT {
        f32::from_bits(magnitude + 112 * ONE_EXPONENT)
    } else {
        f32::from_bits(magnitude | f32::INFINITY.to_bits())
    };
    f32::from_bits(value.to_bits() | sign)
}

/// An exponent field of 1, in binary32.
const ONE_EXPONENT: u32 = 1 << 23;

/// The bits of 2⁻¹⁴, the smallest normal binary16, in binary32.
const SMALLEST_NORMAL: u32 = 113 * ONE_EXPONENT;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_has_the_value_of_its_formula() {
        for bits in 0..=u16::MAX {
            let (sign, exponent) = (f64::from(bits >> 15), i32::from(bits >> 10 & 0x1f));
            let fraction = f64::from(bits & 0x3ff) / 1024.0;
            let value = match exponent {
                0 => fraction * 2f64.powi(-14),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
            };
            let (want, got) = (value * (1.0 - 2.0 * sign), f64::from(half(bits)));
            assert!(got == want || (got.is_nan() && want.is_nan()), "{bits:#x}: {got}, not {want}");
            assert!(got.is_nan() || got.is_sign_negative() == (bits >> 15 == 1));
        }
    }
}
