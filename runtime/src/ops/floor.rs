//! Largest whole number that is not above x.

super::unary::kernel!(Floor, crate::math::floor);

#[cfg(test)]
mod tests {
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Floor, &[], libm::floor, |_, _| 0.0);
    }
}
