//! The functions of fixed-point numbers that TensorFlow Lite's kernels use, which are gemmlowp's, in
//! wide integers. A number with `b` bits after the point stands for its 2ᵇ-th part.

use flatpack_format::ops::Multiplier;

const ONE: i128 = 1 << 31;

/// The integer of 32 bits that is nearest.
fn saturated(x: i128) -> i128 {
    x.clamp(i32::MIN.into(), i32::MAX.into())
}

/// `x` with 31 bits after the point.
fn constant(x: f64) -> i128 {
    saturated((x * ONE as f64).round() as i128)
}

/// `a · b / 2³¹`, halves up.
pub(crate) fn product(a: i128, b: i128) -> i128 {
    saturated((2 * a * b + ONE).div_euclid(2 * ONE))
}

/// `x / 2^bits`, halves away from zero.
pub(crate) fn quotient(x: i128, bits: u32) -> i128 {
    let divisor = 1 << bits;
    x.signum() * ((2 * x.abs() + divisor) / (2 * divisor))
}

/// `eˣ` for x ≤ 0 with `bits` bits after the point, from 26 to 29; the result has 31.
pub(crate) fn exp(x: i64, bits: u32) -> i64 {
    if x == 0 {
        return i32::MAX.into();
    }
    let (x, quarter) = (i128::from(x), 1 << (bits - 2));
    let rest = x.rem_euclid(quarter) - quarter;
    let t = saturated(rest << (31 - bits)) + ONE / 8;
    let (t2, t3, t4) = (product(t, t), product(product(t, t), t), product(product(t, t), product(t, t)));
    let sixth = product(quotient(t4, 2) + t3, constant(1.0 / 3.0));
    let middle = constant((-0.125f64).exp());
    let mut result = middle + product(middle, t + quotient(sixth + t2, 1));
    let mut quarters = (rest - x) / quarter;
    let mut power = -0.25f64;
    while quarters > 0 {
        if quarters % 2 == 1 {
            result = product(result, constant(power.exp()));
        }
        (quarters, power) = (quarters / 2, power * 2.0);
    }
    result as i64
}

/// `1 / (1 + x)` for x from 0 to 1, both with 31 bits after the point; by steps that double the number of
/// correct bits, the first from a line.
pub(crate) fn inverse(x: i64) -> i64 {
    saturated(reciprocal(x) * 2) as i64
}

/// `2 / (1 + x)` with 29 bits after the point, for x with 31.
fn reciprocal(x: i64) -> i128 {
    let half = (i128::from(x) + ONE) / 2;
    let quarter_of = |x: f64| constant(x / 4.0);
    let mut inverse = quarter_of(48.0 / 17.0) + product(half, quarter_of(-32.0 / 17.0));
    for _ in 0..3 {
        let error = ONE / 4 - product(half, inverse);
        inverse += saturated(product(inverse, error) * 4);
    }
    inverse
}

/// `1 / (1 + e⁻ˣ)` for x with 27 bits after the point; the result has 31.
pub(crate) fn logistic(x: i64) -> i64 {
    let above = inverse(exp(-x.abs(), 27));
    match x.signum() {
        0 => 1 << 30,
        1 => above,
        _ => i64::from(i32::MAX) - above,
    }
}

/// The hyperbolic tangent of x with 27 bits after the point; the result has 31. It is `2 / (1 + e⁻²ˣ) − 1`.
pub(crate) fn tanh(x: i64) -> i64 {
    // With one bit less after the point, x is twice as much.
    let above = saturated((reciprocal(exp(-x.abs(), 26)) - ONE / 4) * 4) as i64;
    x.signum() * above
}

/// `ln x` for x from 1 on with 19 bits after the point; the result has 26.
pub(crate) fn ln(x: i64) -> i64 {
    let x = i128::from(x);
    let root = 0.5f64.sqrt();
    let middle = constant(root.sqrt());
    // x is r · 2^e: r is from √½ on by the first way, which leaves a quarter more of e, and up to √2 by the
    // second.
    let zeros = |x: i128| i128::from(31 - x.ilog2());
    let quarter = 1 << 23;
    let first = saturated(product(saturated(x << (zeros(x) - 1)), constant(root)) * 2);
    let second_zeros = zeros(product(x, constant(root))) - 1;
    let r = first.min(saturated(x << second_zeros));
    let exponent = |zeros: i128| saturated((12 - zeros) << 25);
    let e = saturated(exponent(zeros(x)) + quarter).max(saturated(exponent(second_zeros) - quarter));

    let fourth_root = 2f64.sqrt().sqrt();
    let mean = (r + middle + 1) / 2;
    let q = 2 * (r - middle);
    let square = product(q, q);
    let cube = product(product(q, square), constant(11.0 / 240.0 * fourth_root));
    let numerator = product(q, r) + cube;
    let terms = constant(2.0 / fourth_root - fourth_root) + q + product(constant(fourth_root / 20.0), square);
    let denominator = product(mean, terms) + product(constant(fourth_root / 4.0), q);
    let fraction = product(quotient(numerator, 6), inverse(denominator as i64).into());
    saturated(2 * (product(e, constant(2f64.ln())) + fraction)) as i64
}

/// `1 / √x` for x from 1 on, as a multiplier with a shift that is not positive.
pub(crate) fn inverse_sqrt(x: i64) -> Multiplier {
    if x <= 1 {
        return Multiplier { mantissa: i32::MAX, shift: 0 };
    }
    // x is y · 4^k with y from 2²⁷ to 2²⁹, which stands for a quarter to one.
    let (mut y, mut shift) = (i128::from(x), 11);
    while y >= 1 << 29 {
        (y, shift) = (y / 4, shift + 1);
    }
    while y < 1 << 27 {
        (y, shift) = (y * 4, shift - 1);
    }
    // Newton's steps from 1, with 28 bits after the point.
    let half = quotient(y / 2, 1);
    let mut root = 1i128 << 28;
    for _ in 0..5 {
        let cube = saturated(product(product(root, root), root) * 64);
        root = saturated((product(3 << 27, root) - product(half, cube)) * 8);
    }
    let mantissa = product(root, constant(0.5f64.sqrt()));
    if shift < 0 {
        return Multiplier { mantissa: (mantissa << -shift) as i32, shift: 0 };
    }
    Multiplier { mantissa: mantissa as i32, shift: -shift }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_near_those_of_reals() {
        let one = ONE as f64;
        for bits in [26, 27] {
            for x in (0..1i64 << 31).step_by(987_654) {
                let real = (-x as f64 / f64::from(1 << bits)).exp();
                assert!((exp(-x, bits) as f64 / one - real).abs() < 3e-7);
                let real = 1.0 / (1.0 + x as f64 / one);
                assert!((inverse(x) as f64 / one - real).abs() < 1e-8);
            }
        }
        for x in (-(1i64 << 31)..1 << 31).step_by(1_987_654) {
            let real = x as f64 / f64::from(1 << 27);
            assert!((logistic(x) as f64 / one - 1.0 / (1.0 + (-real).exp())).abs() < 3e-7);
            assert!((tanh(x) as f64 / one - real.tanh()).abs() < 6e-7);
        }
        for x in (1i64 << 19..1 << 31).step_by(654_321) {
            let want = (x as f64 / f64::from(1 << 19)).ln();
            assert!((ln(x) as f64 / f64::from(1 << 26) - want).abs() < 3e-7);
        }
        for x in (1..70_000).chain((1..1 << 31).step_by(1_234_567)) {
            let root = inverse_sqrt(x);
            let got = f64::from(root.mantissa) / one * f64::from(root.shift).exp2();
            let want = 1.0 / (x as f64).sqrt();
            assert!((got - want).abs() < 2e-6 * want, "{x}: {root:?}");
        }
    }
}
