//! Softplus: `y = ln(1 + eˣ)`.

super::unary::kernel!(Softplus, crate::math::softplus);

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(
            OpCode::Softplus,
            &[],
            |x| x.max(0.0) + libm::log1p(libm::exp(-x.abs())),
            |_, y| ulps(1.75, y),
        );
    }
}
