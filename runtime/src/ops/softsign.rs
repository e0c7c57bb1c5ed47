//! Softsign: `y = x / (1 + |x|)`.

super::unary::kernel!(Softsign, softsign);

pub(super) fn softsign(x: f32) -> f32 {
    x / (1.0 + x.abs())
}

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Softsign, &[], |x| x / (1.0 + x.abs()), |_, y| ulps(2.0, y));
    }
}
