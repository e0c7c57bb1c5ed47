//! binary16.

/// The value of a binary16, which binary32 always holds.
#[inline]
pub fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    // The exponent's bias is 15 here and 127 there; 2¹¹² moves it, and makes subnormals normal.
    let value = if magnitude < 0x0f80_0000 {
        f32::from_bits(magnitude) * f32::from_bits(0x7780_0000)
    } else {
        f32::from_bits(magnitude | 0x7f80_0000)
    };
    f32::from_bits(value.to_bits() | sign)
}

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
