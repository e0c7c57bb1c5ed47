//! Reciprocal square root: `y = 1 / √x`; ∞ at 0, NaN below.

super::unary::kernel!(Rsqrt, crate::math::rsqrt);

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Rsqrt, &[], |x| 1.0 / libm::sqrt(x), |_, y| ulps(1.5, y));
    }
}
