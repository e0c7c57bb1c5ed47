//! Hyperbolic tangent.

super::unary::kernel!(Tanh, A::tanh_f32);

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Tanh, &[], libm::tanh, |_, y| ulps(1.5, y));
    }
}
