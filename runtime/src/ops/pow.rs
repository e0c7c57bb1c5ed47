//! Power: `y = clamp(aᵇ)`; NaN where a is negative and b no whole number.

super::binary::kernel!(Pow, crate::math::pow);

#[cfg(test)]
mod tests {
    use crate::ops::binary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Pow, libm::pow, 1.0);
    }
}
