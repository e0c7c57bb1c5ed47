//! The error function.

use super::exp::{Reduced, clamp, exp_reduced, reduce};
use super::{polynomial, power_of_two, unless_nan};

/// p of erf x = x + x·p(x²) for |x| < 0.9375; error 2⁻²⁹·⁹ of the result.
pub(crate) const ERF_NEAR: [f32; 7] = [
    1.283_791_7e-1,
    -3.761_263e-1,
    1.128_363_2e-1,
    -2.685_647e-2,
    5.194_989_5e-3,
    -8.085_292_6e-4,
    8.164_383e-5,
];

/// q of erf a = 1 − e^(a·q(a)) between these bounds; error 2⁻²⁸·⁴ of the result.
pub(crate) const ERF_FAR: [f32; 6] =
    [-1.128_504_8, -6.357_51e-1, -1.052_185e-1, 2.286_200_8e-2, -3.206_188_8e-3, 2.129_160_7e-4];
pub(crate) const ERF_FAR_FROM: f32 = 0.9375;
pub(crate) const ERF_FAR_TO: f32 = 3.95;

/// erf x = 2/√π · ∫₀ˣ e^(−t²) dt, within 1.25 ULP, near 0 too. Odd; ±1 from |x| = 3.92 on.
///
/// Method: below 0.9375, x + x·p(x²) with p of degree 6, error 2⁻²⁹·⁹ of the result; from there on
/// 1 − e^(a·q(a)), a = |x|, where q of degree 5 is fitted to ln erfc(a)/a up to 3.95, error 2⁻²⁸·⁴
/// of the result.
#[inline]
pub fn erf(x: f32) -> f32 {
    let a = x.abs();
    let y = if a < ERF_FAR_FROM {
        a + a * polynomial(a * a, &ERF_NEAR)
    } else {
        let a = clamp(a, ERF_FAR_FROM, ERF_FAR_TO);
        let Reduced { n, r, r_low } = reduce(a * polynomial(a, &ERF_FAR));
        1.0 - power_of_two(n) * exp_reduced(r, r_low)
    };
    unless_nan(x, y.copysign(x))
}

#[cfg(test)]
mod tests {
    use super::super::ulp::{assert_within, sweep};
    use super::*;

    #[test]
    fn erf_is_within_one_and_a_quarter_ulp() {
        assert_within("erf", 1.25, erf, libm::erf);
    }

    #[test]
    fn erf_stays_in_its_range() {
        for x in sweep().filter(|x| !x.is_nan()) {
            assert!(erf(x).abs() <= 1.0, "erf({x:e})");
        }
    }
}
