//! Measures functions against an exact value computed in `f64`, for the tests.

use super::NAN;
use core::f32::consts::{FRAC_1_SQRT_2, FRAC_PI_2, FRAC_PI_4, LN_2, PI, SQRT_2};
use core::fmt::Debug;
use std::{env, println};

/// Distance between the bit patterns that a sweep visits: `FLATPACK_MATH_STRIDE`, else 1009.
pub(super) fn stride() -> u32 {
    env::var("FLATPACK_MATH_STRIDE").map_or(1009, |stride| stride.parse().unwrap())
}

/// Every 1009th bit pattern, NaNs included, and the neighbours of the values at which one of the
/// functions changes its branch, its method or its kind of result.
pub(crate) fn sweep() -> impl Iterator<Item = f32> {
    const PIVOTS: [f32; 31] = [
        0.0,
        f32::MIN_POSITIVE,
        2.980_232_2e-8, // 2⁻²⁵
        5.960_464_5e-8, // 2⁻²⁴
        0.292_893_2,    // 1 − √½
        LN_2 / 2.0,
        0.5,
        0.6,
        FRAC_1_SQRT_2,
        FRAC_PI_4,
        0.9375,
        1.0,
        SQRT_2,
        FRAC_PI_2,
        2.0,
        PI,
        3.92, // from here erf is 1
        3.95,
        9.0109, // tanh
        10.0,
        16.635_532, // logistic
        17.328_68,  // exp_m1 is −1
        87.336_54,  // the smallest normal exp
        88.722_84,  // the largest
        89.0,
        103.972_08, // the smallest subnormal
        104.0,
        8_388_608.0,
        16_777_216.0,
        f32::MAX,
        f32::INFINITY,
    ];
    let everywhere = (0..=u32::MAX).step_by(stride() as usize);
    let around = PIVOTS.into_iter().flat_map(|pivot| {
        let bits = pivot.to_bits();
        bits.saturating_sub(1000)..=bits + 1000
    });
    everywhere.chain(around.flat_map(|bits| [bits, bits | 1 << 31])).map(f32::from_bits)
}

/// The error of `got` in units of the last place of the correctly rounded `exact`; infinite if one
/// of them is a NaN, an exact infinity or a signed zero and the other is not the same.
fn error_in_ulps(got: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    let same = |same: bool| if same { 0.0 } else { f64::INFINITY };
    if exact.is_nan() || got.is_nan() {
        return same(exact.is_nan() && got.to_bits() == NAN.to_bits());
    }
    if exact.is_infinite() || rounded == 0.0 && got == 0.0 {
        return same(got.to_bits() == rounded.to_bits());
    }
    // An overflow counts as the number that would follow the largest one.
    let two_128 = libm::ldexp(1.0, 128);
    let extended = |x: f64| x.clamp(-two_128, two_128);
    let biased_exponent = (rounded.to_bits() >> 23 & 0xff).clamp(1, 254);
    let ulp = libm::ldexp(1.0, biased_exponent as i32 - 150);
    (extended(f64::from(got)) - extended(exact)).abs() / ulp
}

/// Asserts that no case (argument, computed, exact) is further than `bound` ULP off, and prints the
/// worst.
pub(crate) fn assert_all_within<X: Copy + Debug>(
    name: &str,
    bound: f64,
    cases: impl Iterator<Item = (X, f32, f64)>,
) {
    let mut worst = None;
    let mut worst_error = -1.0;
    for case in cases {
        let error = error_in_ulps(case.1, case.2);
        if error > worst_error {
            (worst, worst_error) = (Some(case), error);
        }
    }
    let (x, got, exact) = worst.unwrap();
    println!("{name}: at most {worst_error:.4} ULP, at {x:?}: {got:e}, exactly {exact:e}");
    assert!(worst_error <= bound, "{name}: {worst_error} ULP at {x:?}: {got:e}, exactly {exact:e}");
}

/// [`assert_all_within`] for a function of one argument over the whole [`sweep`].
pub(super) fn assert_within(name: &str, bound: f64, function: fn(f32) -> f32, exact: fn(f64) -> f64) {
    assert_all_within(name, bound, sweep().map(|x| (x, function(x), exact(f64::from(x)))));
}
