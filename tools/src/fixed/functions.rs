//! The functions of fixed-point numbers that TensorFlow Lite's kernels use, which are gemmlowp's, in
//! wide integers. A number with `b` bits after the point stands for its 2ᵇ-th part.

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
fn product(a: i128, b: i128) -> i128 {
    saturated((2 * a * b + ONE).div_euclid(2 * ONE))
}

/// `x / 2^bits`, halves away from zero.
fn quotient(x: i128, bits: u32) -> i128 {
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
    }
}
