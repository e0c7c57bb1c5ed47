//! Rounding to binary16.

/// The bits of infinity.
pub const INFINITY: u16 = 0x7c00;

/// The bits of the binary16 nearest to a number; of two, the even one. What is too large becomes
/// infinity.
pub fn nearest(v: f32) -> u16 {
    let sign = (v.to_bits() >> 16) as u16 & 0x8000;
    if v.is_nan() {
        return sign | INFINITY | 0x200;
    }
    // Below 2⁻¹⁴, binary16 is subnormal: its spacing stays that of [2⁻¹⁴, 2⁻¹³).
    let exponent = ((v.to_bits() >> 23 & 0xff) as i32 - 127).max(-14);
    let steps = (f64::from(v.abs()) * 2f64.powi(10 - exponent)).round_ties_even() as u64;
    // 1,024 steps are the bit that a normal number does not show, and add one to the exponent field.
    let magnitude = (((exponent + 14) as u64) << 10).saturating_add(steps);
    sign | magnitude.min(INFINITY.into()) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_runtime::math::half;

    #[test]
    fn between_neighbours_the_middle_decides_and_is_even() {
        for bits in 0..INFINITY {
            let (low, high) = (half(bits), half(bits + 1));
            // Past the largest finite number, infinity stands for the next power of two.
            let high = if high.is_finite() { high } else { 65536.0 };
            let middle = low + (high - low) / 2.0;
            let even = bits + bits % 2;
            for (v, want) in
                [(low, bits), (middle.next_down(), bits), (middle, even), (middle.next_up(), bits + 1)]
            {
                assert_eq!(nearest(v), want, "{v:e}");
                assert_eq!(nearest(-v), want | 0x8000, "{:e}", -v);
            }
        }
    }

    #[test]
    fn what_is_too_large_is_infinite_and_a_nan_stays() {
        assert_eq!([65520.0, f32::MAX, f32::INFINITY].map(nearest), [INFINITY; 3]);
        assert!(half(nearest(f32::NAN)).is_nan());
        assert_eq!([1e-45, -1e-9].map(nearest), [0, 0x8000]);
    }
}
