//! Nearest whole number, of two the even one.

super::unary::kernel!(Round, crate::math::round_half_even);

#[cfg(test)]
mod tests {
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Round, &[], libm::rint, |_, _| 0.0);
    }
}
