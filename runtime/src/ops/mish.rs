//! Mish: `y = x · tanh(ln(1 + eˣ))` (Misra, 2019).

use crate::math::exp;

super::unary::kernel!(Mish, mish);

// With w = eˣ, tanh(ln(1 + w)) = ((1 + w)² − 1) / ((1 + w)² + 1). From 20 on, that is 1.
pub(super) fn mish(x: f32) -> f32 {
    let w = exp(if x > 20.0 { 20.0 } else { x });
    let n = w * (w + 2.0);
    x * (n / (n + 2.0))
}

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    fn softplus(x: f64) -> f64 {
        x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
    }

    #[test]
    fn it_meets_the_formula() {
        it_meets(
            OpCode::Mish,
            &[],
            |x| x * libm::tanh(softplus(x)),
            |x, y| ulps(7.5, y) + ulps(4.0 * x.abs(), 0.0),
        );
    }
}
