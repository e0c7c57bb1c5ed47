//! Square root: `y = √x`, correctly rounded; NaN below 0.

super::unary::kernel!(Sqrt, crate::math::sqrt);

#[cfg(test)]
mod tests {
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Sqrt, &[], libm::sqrt, |_, _| 0.0);
    }
}
