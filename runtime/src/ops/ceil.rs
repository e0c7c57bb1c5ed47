//! Smallest whole number that is not below x.

super::unary::kernel!(Ceil, crate::math::ceil);

#[cfg(test)]
mod tests {
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Ceil, &[], libm::ceil, |_, _| 0.0);
    }
}
