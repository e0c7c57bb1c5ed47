//! Logistic function (sigmoid): `y = 1 / (1 + e⁻ˣ)`.

super::unary::kernel!(Logistic, A::logistic_f32);

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Logistic, &[], |x| 1.0 / (1.0 + libm::exp(-x)), |_, y| ulps(1.5, y));
    }
}
