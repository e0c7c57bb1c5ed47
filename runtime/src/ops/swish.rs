//! Swish (SiLU): `y = x / (1 + e⁻ˣ)`.

use crate::arch::Arch;

super::unary::kernel!(Swish, swish::<A>);

#[inline(always)]
pub(super) fn swish<A: Arch>(x: f32) -> f32 {
    x * A::logistic_f32(x)
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
