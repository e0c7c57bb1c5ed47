//! Functions of fixed-point numbers, to the last bit those of gemmlowp's `fixedpoint.h`, which TensorFlow
//! Lite's kernels use.
//!
//! A number with `b` bits after the point is an `i32` that stands for its 2ᵇ-th part.

use super::{divide_by_power_of_two, doubling_high_multiply};

/// e^(−2^(k − 2)) for k from 0 on, with 31 bits after the point.
const POWERS: [i32; 7] = [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];

/// e^(−1/8) and 1/3, with 31 bits after the point.
const MIDDLE: i32 = 1_895_147_668;
const THIRD: i32 = 715_827_883;

/// 48/17 and −32/17 with 29 bits after the point: the line that is nearest to the reciprocal.
const LINE: [i32; 2] = [1_515_870_810, -1_010_580_540];

/// `x · 2^bits`, or the number nearest to it; for up to 30 bits.
#[inline]
pub fn shift_left(x: i32, bits: u32) -> i32 {
    x.saturating_mul(1i32.wrapping_shl(bits))
}

/// `eˣ` for x ≤ 0 with 26 bits after the point; the result has 31, and is the largest number for x = 0.
/// Of other x it is some number.
pub fn exp_of_negative(x: i32) -> i32 {
    if x == 0 {
        return i32::MAX;
    }
    const QUARTER: i32 = 1 << 24;
    // A rest from −1/4 on, below 0, and whole quarters.
    let rest = (x & (QUARTER - 1)) - QUARTER;
    let quarters = rest.wrapping_sub(x) >> 24;
    let mut result = exp_near_eighth(shift_left(rest, 5).wrapping_add(1 << 28));
    for (bit, power) in POWERS.iter().enumerate() {
        if quarters >> bit & 1 == 1 {
            result = doubling_high_multiply(result, *power);
        }
    }
    result
}

/// `e^(x − 1/8)` for x from −1/8 to 1/8, all with 31 bits after the point: Taylor's series up to x⁴.
fn exp_near_eighth(x: i32) -> i32 {
    let x2 = doubling_high_multiply(x, x);
    let x3 = doubling_high_multiply(x2, x);
    let x4 = doubling_high_multiply(x2, x2);
    let sixths = doubling_high_multiply(divide_by_power_of_two(x4, 2).wrapping_add(x3), THIRD);
    let series = x.wrapping_add(divide_by_power_of_two(sixths.wrapping_add(x2), 1));
    MIDDLE.wrapping_add(doubling_high_multiply(MIDDLE, series))
}

/// `1 / (1 + x)` for x from 0 to 1, with 31 bits after the point, by three of Newton's steps.
pub fn one_over_one_plus(x: i32) -> i32 {
    const ONE: i32 = 1 << 29;
    // (1 + x) / 2, the one being 2³¹ − 1 and the half rounded up.
    let half = (x >> 1).wrapping_add(1 << 30);
    let [start, slope] = LINE;
    let mut inverse = start.wrapping_add(doubling_high_multiply(half, slope));
    for _ in 0..3 {
        let error = ONE.wrapping_sub(doubling_high_multiply(half, inverse));
        inverse = inverse.wrapping_add(shift_left(doubling_high_multiply(inverse, error), 2));
    }
    shift_left(inverse, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn real(x: i32, bits: i32) -> f64 {
        f64::from(x) / f64::from(bits).exp2()
    }

    proptest! {
        #[test]
        fn functions_are_near_those_of_reals(x in i32::MIN..=0, y in 0..=i32::MAX) {
            // As near as the series is, whose next term is below 2.6e-7.
            for x in [x, x >> 3, x >> 8, x >> 16, x >> 24] {
                prop_assert!((real(exp_of_negative(x), 31) - real(x, 26).exp()).abs() < 3e-7);
            }
            for y in [y, y >> 8, y >> 24] {
                prop_assert!((real(one_over_one_plus(y), 31) - 1.0 / (1.0 + real(y, 31))).abs() < 1e-8);
            }
        }

        #[test]
        fn shifts_saturate(x: i32, bits in 0u32..31) {
            let wide = (i64::from(x) << bits).clamp(i32::MIN.into(), i32::MAX.into());
            prop_assert_eq!(i64::from(shift_left(x, bits)), wide);
        }
    }

    #[test]
    fn ends() {
        assert_eq!((exp_of_negative(0), exp_of_negative(i32::MIN)), (i32::MAX, 0));
        assert_eq!((one_over_one_plus(0), one_over_one_plus(i32::MAX)), (i32::MAX, (1 << 30) - 4));
    }
}
