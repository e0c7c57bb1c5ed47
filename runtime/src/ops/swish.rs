//! Swish (SiLU): `y = x / (1 + e⁻ˣ)`.

use crate::math;

super::unary::kernel!(Swish, swish);

pub(super) fn swish(x: f32) -> f32 {
    x * math::logistic(x)
}

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(
            OpCode::Swish,
            &[],
            |x| x * (1.0 / (1.0 + libm::exp(-x))),
            |x, y| ulps(4.0, y) + ulps(1.5 * x.abs(), 0.0),
        );
    }
}
