//! Rounding to integers. All results are exact and keep the sign of `x`, zeros included.

use super::unless_nan;

/// The integer nearest to x, of two the even one (C's `rint`).
///
/// Method: below 2²³, adding and subtracting 2²³ leaves no place for a fraction; above, every
/// `f32` is whole.
#[inline]
pub fn round_half_even(x: f32) -> f32 {
    const TWO_23: f32 = 8_388_608.0;
    let a = x.abs();
    let y = if a < TWO_23 { (a + TWO_23) - TWO_23 } else { a };
    unless_nan(x, y.copysign(x))
}

/// The integer nearest to x, of two the one away from zero (C's `round`).
#[inline]
pub fn round_half_away(x: f32) -> f32 {
    let a = x.abs();
    let nearest = round_half_even(a);
    // Exact: both are below 2²³ where they differ.
    let y = if a - nearest == 0.5 { nearest + 1.0 } else { nearest };
    unless_nan(x, y.copysign(x))
}

/// The largest integer not above x.
#[inline]
pub fn floor(x: f32) -> f32 {
    let nearest = round_half_even(x);
    let y = if nearest > x { nearest - 1.0 } else { nearest };
    unless_nan(x, y.copysign(x))
}

/// The smallest integer not below x.
#[inline]
pub fn ceil(x: f32) -> f32 {
    let nearest = round_half_even(x);
    let y = if nearest < x { nearest + 1.0 } else { nearest };
    unless_nan(x, y.copysign(x))
}

#[cfg(test)]
mod tests {
    use super::super::ulp::assert_within;
    use super::*;

    #[test]
    fn rounding_functions_are_exact() {
        assert_within("round_half_even", 0.0, round_half_even, libm::rint);
        assert_within("round_half_away", 0.0, round_half_away, libm::round);
        assert_within("floor", 0.0, floor, libm::floor);
        assert_within("ceil", 0.0, ceil, libm::ceil);
    }
}
