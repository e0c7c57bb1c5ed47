//! Functions of fixed-point numbers, to the last bit those of gemmlowp's `fixedpoint.h`, which TensorFlow
//! Lite's kernels use.
//!
//! A number with `b` bits after the point is an `i32` that stands for its 2ᵇ-th part.

use super::{divide_by_power_of_two, doubling_high_multiply};
use flatpack_format::ops::Multiplier;

/// `⌊a · b / 2³¹ + ½⌋`. Each function here has many: on a board, a call takes less code.
#[cfg_attr(feature = "std", inline(always))]
#[cfg_attr(not(feature = "std"), inline(never))]
fn product(a: i32, b: i32) -> i32 {
    doubling_high_multiply(a, b)
}

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
            result = product(result, *power);
        }
    }
    result
}

/// `e^(x − 1/8)` for x from −1/8 to 1/8, all with 31 bits after the point: Taylor's series up to x⁴.
fn exp_near_eighth(x: i32) -> i32 {
    let x2 = product(x, x);
    let x3 = product(x2, x);
    let x4 = product(x2, x2);
    let sixths = product(divide_by_power_of_two(x4, 2).wrapping_add(x3), THIRD);
    let series = x.wrapping_add(divide_by_power_of_two(sixths.wrapping_add(x2), 1));
    MIDDLE.wrapping_add(product(MIDDLE, series))
}

/// `1 / (1 + x)` for x from 0 to 1, with 31 bits after the point, by three of Newton's steps.
#[cfg_attr(feature = "std", inline(always))]
pub fn one_over_one_plus(x: i32) -> i32 {
    const ONE: i32 = 1 << 29;
    // (1 + x) / 2, the one being 2³¹ − 1 and the half rounded up.
    let half = (x >> 1).wrapping_add(1 << 30);
    let [start, slope] = LINE;
    let mut inverse = start.wrapping_add(product(half, slope));
    for _ in 0..3 {
        let error = ONE.wrapping_sub(product(half, inverse));
        inverse = inverse.wrapping_add(shift_left(product(inverse, error), 2));
    }
    shift_left(inverse, 1)
}

/// `ln x` for x from 1 on with 19 bits after the point; the result has 26.
pub fn ln(x: i32) -> i32 {
    // √½, its root, and ln 2, with 31 bits after the point.
    const ROOT: i32 = 1_518_500_250;
    const FOURTH_ROOT: i32 = 1_805_811_301;
    const LN_2: i32 = 1_488_522_236;
    // Of a quotient of polynomials in q that is near ln r about √√½.
    let [n, d, i, f] = [117_049_297, 127_690_142, 1_057_819_769, 638_450_708];

    // x is r · 2ᵉ, in two ways that leave either r or r · √½ between ½ and 1; of both, the one nearer to √√½.
    // The exponents, a quarter more and less, have 25 bits after the point.
    let power = |bits: u32| shift_left(12i32.wrapping_sub(bits as i32), 25);
    const QUARTER: i32 = 1 << 23;
    let zeros = x.leading_zeros();
    let first = product(shift_left(x, zeros.wrapping_sub(1)), ROOT);
    let second_zeros = product(x, ROOT).leading_zeros().wrapping_sub(1);
    let r = shift_left(first, 1).min(shift_left(x, second_zeros));
    let first_power = power(zeros).saturating_add(QUARTER);
    let exponent = first_power.max(power(second_zeros).saturating_sub(QUARTER));

    let mean = half_sum(r, FOURTH_ROOT);
    let q = r.wrapping_sub(FOURTH_ROOT).wrapping_mul(2);
    let square = product(q, q);
    let numerator = product(q, r).wrapping_add(product(product(q, square), n));
    let terms = q.wrapping_add(i).wrapping_add(product(d, square));
    let denominator = product(mean, terms).wrapping_add(product(f, q));
    let fraction = product(divide_by_power_of_two(numerator, 6), one_over_one_plus(denominator));
    shift_left(product(exponent, LN_2).wrapping_add(fraction), 1)
}

/// `(a + b) / 2`, halves away from zero.
fn half_sum(a: i32, b: i32) -> i32 {
    let sum = i64::from(a).wrapping_add(i64::from(b));
    (sum.wrapping_add(if sum >= 0 { 1 } else { -1 }) / 2) as i32
}

/// `1 / √x`, as a multiplier, by five of Newton's steps; of 0 as of 1.
pub fn inverse_sqrt(x: i32) -> Multiplier {
    if x <= 1 {
        return Multiplier { mantissa: i32::MAX, shift: 0 };
    }
    const ONE: i32 = 1 << 28;
    const HALF_ROOT: i32 = 1_518_500_250;
    // x is y · 4ᵏ, y from 2²⁷ on and below 2²⁹: as many pairs of zeros are shifted out.
    let pairs = (x.leading_zeros() as i32).wrapping_sub(3).div_euclid(2);
    let y = if pairs < 0 { x >> 2 } else { x.wrapping_shl(pairs.wrapping_mul(2) as u32) };
    let half = divide_by_power_of_two(y >> 1, 1);
    let mut root = ONE;
    for _ in 0..5 {
        let cube = shift_left(product(product(root, root), root), 6);
        let step = product(ONE.wrapping_add(ONE / 2), root).wrapping_sub(product(half, cube));
        root = shift_left(step, 3);
    }
    let mantissa = product(root, HALF_ROOT);
    let shift = pairs.wrapping_sub(11);
    let up = shift.max(0) as u32;
    Multiplier { mantissa: mantissa.wrapping_shl(up), shift: shift.min(0) }
}

/// `a / b · by` for a and b of 9 bits, where b is not zero. The shift that makes an integer of it is
/// taken modulo 64; from 32 on, it is one by that many bits less, and 1 is added if the result is not
/// negative.
pub fn quotient(a: i32, b: i32, by: Multiplier) -> i32 {
    let (a, b) = if b < 0 { (a.wrapping_neg(), b.wrapping_neg()) } else { (a, b) };
    let zeros = b.leading_zeros();
    let inverse = one_over_one_plus(b.wrapping_shl(zeros) & i32::MAX);
    // As many bits as only repeat the sign.
    let room = (if a < 0 { !a } else { a }).leading_zeros().wrapping_sub(1);
    let quotient = product(a.wrapping_shl(room), inverse);
    let scaled = product(quotient, by.mantissa);
    let places = 31u32.wrapping_sub(zeros).wrapping_add(room).wrapping_sub(by.shift as u32) & 63;
    if places < 32 {
        return divide_by_power_of_two(scaled, places);
    }
    (scaled >> (places & 31)).wrapping_add(i32::from(scaled >= 0))
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
        fn logarithms_and_roots_are_near_those_of_reals(x in 1..=i32::MAX) {
            for x in [x, x >> 3, x >> 10, x >> 20].map(|x| x.max(2)) {
                let root = inverse_sqrt(x);
                let got = real(root.mantissa, 31 - root.shift);
                let want = 1.0 / f64::from(x).sqrt();
                prop_assert!((got - want).abs() < 2e-6 * want, "{x}: {root:?}");
            }
            for x in [x, x >> 3, x >> 8].map(|x| x.max(1 << 19)) {
                prop_assert!((real(ln(x), 26) - real(x, 19).ln()).abs() < 3e-7, "{x}: {}", ln(x));
            }
        }

        #[test]
        fn quotients_are_near_those_of_reals(
            a in -255i32..256, b in 1i32..256, negative: bool, mantissa in 1 << 30..=i32::MAX, shift in 0i32..8,
        ) {
            let b = if negative { -b } else { b };
            let by = Multiplier { mantissa, shift };
            let want = f64::from(a) / f64::from(b) * real(mantissa, 31 - shift);
            // Smaller ones are shifted too far.
            if want.abs() >= 1.0 {
                prop_assert!((f64::from(quotient(a, b, by)) - want).abs() < 0.501);
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
        assert_eq!(ln(1 << 19), 0);
        let one = Multiplier { mantissa: i32::MAX, shift: 0 };
        assert_eq!([-1, 0, 1].map(inverse_sqrt), [one; 3]);
    }

    #[test]
    fn quotients_that_are_shifted_too_far_are_not_small() {
        let by = Multiplier { mantissa: 1 << 30, shift: 1 };
        // 0 is shifted by 31 + 1 − 1 and by 31 + 2 − 1 bits, 1 by 30 + 7 − 1.
        assert_eq!([(0, 3), (0, 4)].map(|(a, b)| quotient(a, b, by)), [0, 1]);
        let (product, inverse) = (1 << 30, one_over_one_plus(127 << 24));
        let scaled = doubling_high_multiply(doubling_high_multiply(product, inverse), by.mantissa);
        assert_eq!(quotient(1, 255, by), (scaled >> 4) + 1);
    }
}
