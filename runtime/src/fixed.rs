//! The only place where integers are rounded: products with fixed-point multipliers, as TensorFlow
//! Lite's reference kernels compute them.
//!
//! A multiplier stands for `mantissa · 2^(shift − 31)`. Its product with an integer is rounded twice:
//! once to 32 bits, halves up ([`doubling_high_multiply`]), and once by the shift, halves away from
//! zero ([`divide_by_power_of_two`]). TensorFlow Lite can be built to round once at the
//! end instead; its results then differ by 1 now and then, and that is not what is computed here.
//!
//! Sums that leave 32 bits wrap; no sum of a model that TensorFlow Lite made does.

mod functions;
mod sigmoid;

pub use functions::{exp_of_negative, inverse_sqrt, ln, one_over_one_plus, quotient, shift_left};
#[cfg(flatpack_arch = "helium")]
pub(crate) use sigmoid::TABLE as SIGMOID_TABLE;
pub use sigmoid::{logistic, tanh};

use flatpack_format::ops::{Multiplier, OutputI8};

/// `⌊a · b / 2³¹ + ½⌋`; the one product that leaves 32 bits is the largest number.
#[inline]
pub fn doubling_high_multiply(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    high_product(a, b)
}

/// [`doubling_high_multiply`] of other numbers than twice the least.
#[inline]
fn high_product(a: i32, b: i32) -> i32 {
    // A core that multiplies no further than 32 bits would call a function of 64.
    #[cfg(flatpack_arch = "armv6m")]
    return high_product_in_parts(a, b);
    #[cfg(not(flatpack_arch = "armv6m"))]
    ((i64::from(a).wrapping_mul(i64::from(b)).wrapping_add(1 << 30) >> 31) as i32)
}

/// [`high_product`] by products of 32 bits, of which none is lost: `a = high · 2¹⁶ + low`, where low has a sign, and `b =
/// upper · 2¹⁵ + lower`.
#[cfg(any(test, flatpack_arch = "armv6m"))]
#[inline]
fn high_product_in_parts(a: i32, b: i32) -> i32 {
    if b == i32::MIN {
        return a.wrapping_neg();
    }
    let (low, high) = (i32::from(a as i16), (a >> 16).wrapping_add(a >> 15 & 1));
    let (upper, lower) = (b >> 15, b & 0x7fff);
    // ⌊low · b / 2¹⁶⌋
    let of_low = low.wrapping_mul(upper).wrapping_add(low.wrapping_mul(lower) >> 15) >> 1;
    let rest = high.wrapping_mul(lower).wrapping_add(of_low);
    high.wrapping_mul(upper).wrapping_add(rest >> 15).wrapping_add(rest >> 14 & 1)
}

/// `⌊x / 2^exponent⌉`, halves away from zero, for exponents from 0 to 31.
#[inline]
pub fn divide_by_power_of_two(x: i32, exponent: u32) -> i32 {
    let exponent = exponent & 31;
    let mask = (1i64 << exponent).wrapping_sub(1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1).wrapping_add(i32::from(x < 0));
    (x >> exponent).wrapping_add(i32::from(remainder > threshold))
}

/// `x` times a multiplier.
#[inline]
pub fn multiply(x: i32, by: Multiplier) -> i32 {
    let left = by.shift.max(0) as u32;
    let right = by.shift.min(0).unsigned_abs();
    divide_by_power_of_two(doubling_high_multiply(x.wrapping_shl(left), by.mantissa), right)
}

/// `⌊x / count⌉`, halves away from zero, for counts from 1 on.
#[inline]
pub fn divide(x: i32, count: i32) -> i32 {
    let half = count >> 1;
    let moved = if x > 0 { x.wrapping_add(half) } else { x.wrapping_sub(half) };
    moved.checked_div(count).unwrap_or_default()
}

/// The multiplier of an output: that of all, or its own.
#[inline]
pub fn of_output(requant: &[Multiplier], output: usize) -> Option<Multiplier> {
    if let [one] = requant { Some(*one) } else { requant.get(output).copied() }
}

/// A sum as an element of the output: multiplied, moved to the zero point, bounded.
#[inline]
pub fn requantize(sum: i32, by: Multiplier, y: &OutputI8) -> i8 {
    bound(multiply(sum, by).wrapping_add(y.zero_point), y)
}

/// [`requantize`] by a multiplier that is plain ([`Multiplier::all_plain`]): neither shifted left nor of a product that
/// leaves 32 bits.
#[inline]
pub fn requantize_plainly(sum: i32, by: Multiplier, y: &OutputI8) -> i8 {
    let scaled = divide_by_power_of_two(high_product(sum, by.mantissa), by.shift.wrapping_neg() as u32);
    bound(scaled.wrapping_add(y.zero_point), y)
}

/// The nearest integer of 16 bits.
#[inline]
pub fn saturate_i16(v: i32) -> i16 {
    v.min(i16::MAX.into()).max(i16::MIN.into()) as i16
}

/// An integer within the bounds of the output, which are 8-bit integers.
#[inline]
pub fn bound(v: i32, y: &OutputI8) -> i8 {
    let v = if v < y.min { y.min } else { v };
    (if v > y.max { y.max } else { v }) as i8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `numerator / 2^bits`, halves away from zero, without any trick.
    fn rounded(numerator: i128, bits: u32) -> i128 {
        let divisor = 1i128 << bits;
        let magnitude = (2 * numerator.abs() + divisor) / (2 * divisor);
        numerator.signum() * magnitude
    }

    /// As C writes it: half is added away from zero, but one less below it, and division truncates.
    fn high_multiply_of_gemmlowp(a: i32, b: i32) -> i128 {
        let product = i128::from(a) * i128::from(b);
        let half = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
        ((product + half) / (1 << 31)).min(i32::MAX.into())
    }

    proptest! {
        #[test]
        fn products_and_quotients_are_rounded_as_published(a: i32, b: i32, exponent in 0u32..32) {
            // Many products of these are halves.
            for (a, b) in [(a, b), (a & !0xffff, b & !0x3fff), (i32::MIN, b), (a, i32::MIN)] {
                prop_assert_eq!(i128::from(doubling_high_multiply(a, b)), high_multiply_of_gemmlowp(a, b));
                if (a, b) != (i32::MIN, i32::MIN) {
                    prop_assert_eq!(high_product_in_parts(a, b), high_product(a, b));
                }
            }
            prop_assert_eq!(i128::from(divide_by_power_of_two(a, exponent)), rounded(a.into(), exponent));
        }
    }

    proptest! {
        #[test]
        fn means_are_rounded_to_the_nearest(sum in -(1i32 << 30)..1 << 30, count in 1i32..1 << 20) {
            let sum = sum % (256 * count);
            let magnitude = (2 * i64::from(sum).abs() + i64::from(count)) / (2 * i64::from(count));
            prop_assert_eq!(i64::from(divide(sum, count)), i64::from(sum.signum()) * magnitude);
        }
    }

    #[test]
    fn parts_of_extremes_make_the_product() {
        let near = |v: i32| [-1, 0, 1].map(|by: i32| v.wrapping_add(by));
        let places = [0, i32::MIN, 1 << 15, 1 << 16, 1 << 30, -(1 << 15), -(1 << 16), i32::MIN + (1 << 15)];
        let numbers = || places.into_iter().flat_map(near);
        for (a, b) in numbers().flat_map(|a| numbers().map(move |b| (a, b))) {
            if (a, b) != (i32::MIN, i32::MIN) {
                assert_eq!(high_product_in_parts(a, b), high_product(a, b), "{a} {b}");
            }
        }
    }

    /// What instructions make of a sum by a plain multiplier: the upper half of the product with twice the
    /// mantissa, less 1 by the sum's sign; half of the last place and the zero point, added with saturation
    /// before the shift. The double mantissa has 32 bits: as an integer it is less by 2³².
    fn by_instructions(sum: i32, by: Multiplier, y: &OutputI8) -> i8 {
        let product = i128::from(sum) * i128::from(by.mantissa.wrapping_mul(2));
        let nudged = i128::from(sum.wrapping_add(sum >> 31)) << 32;
        let high = ((product + nudged + (1 << 31)) >> 32) as i32;
        let moved = (2 * y.zero_point + 1).wrapping_shl(!by.shift as u32);
        bound((high.saturating_add(moved) >> (!by.shift & 31) >> 1).clamp(-128, 127), y)
    }

    proptest! {
        #[test]
        fn instructions_give_the_published_bytes_by_plain_multipliers(
            sum: i32, places in 0u32..31, mantissa in 1i32 << 30..=i32::MAX, shift in -21i32..0,
            zero_point in -128i32..128, bounds in (-128i32..128, -128i32..128),
        ) {
            let y = OutputI8 { zero_point, min: bounds.0.min(bounds.1), max: bounds.0.max(bounds.1) };
            for mantissa in [mantissa, 1 << 30, i32::MAX] {
                let by = Multiplier { mantissa, shift };
                prop_assert!(Multiplier::all_plain(&[by]));
                for sum in [sum, sum >> places, i32::MIN, i32::MAX, 1 << 30, -(1 << 30), (1 << 30) - 1] {
                    let want = requantize(sum, by, &y);
                    prop_assert_eq!(by_instructions(sum, by, &y), want, "{} {:?}", sum, by);
                    prop_assert_eq!(requantize_plainly(sum, by, &y), want, "{} {:?}", sum, by);
                }
            }
        }
    }

    #[test]
    fn multipliers_that_instructions_do_not_take_are_not_plain() {
        let open = OutputI8 { zero_point: -128, min: -128, max: 127 };
        for by in [Multiplier { mantissa: 1 << 20, shift: -13 }, Multiplier { mantissa: 1 << 30, shift: -25 }]
        {
            assert!(!Multiplier::all_plain(&[by]));
            assert_ne!(by_instructions(1 << 20, by, &open), requantize(1 << 20, by, &open), "{by:?}");
        }
        for shift in [0, -32, 1] {
            assert!(!Multiplier::all_plain(&[Multiplier { mantissa: 1 << 30, shift }]));
        }
    }

    #[test]
    fn halves_and_extremes() {
        assert_eq!([-3, -2, -1, 0, 1, 2, 3].map(|x| divide(x, 2)), [-2, -1, -1, 0, 1, 1, 2]);
        let halves = [(1 << 30, 1, 1), (1 << 30, -1, 0), (1 << 30, 3, 2), (1 << 30, -3, -1)];
        for (a, b, want) in halves {
            assert_eq!(doubling_high_multiply(a, b), want);
        }
        assert_eq!(doubling_high_multiply(i32::MIN, i32::MIN), i32::MAX);
        assert_eq!(divide_by_power_of_two(i32::MIN, 31), -1);
        assert_eq!(divide_by_power_of_two(i32::MAX, 31), 1);
        assert_eq!([-3, -1, 1, 3].map(|x| divide_by_power_of_two(x, 1)), [-2, -1, 1, 2]);
    }
}
