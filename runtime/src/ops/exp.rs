//! Exponential: `y = eˣ`.

super::unary::kernel!(Exp, crate::math::exp);

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Exp, &[], libm::exp, |_, y| ulps(1.0, y));
    }
}
