//! Error function: `y = 2/√π · ∫₀ˣ e^(−t²) dt`.

super::unary::kernel!(Erf, A::erf_f32);

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Erf, &[], libm::erf, |_, y| ulps(1.25, y));
    }
}
