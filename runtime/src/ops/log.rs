//! Natural logarithm: `y = ln x`; −∞ at 0, NaN below.

super::unary::kernel!(Log, crate::math::ln);

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Log, &[], libm::log, |_, y| ulps(1.0, y));
    }
}
