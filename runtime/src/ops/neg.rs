//! Opposite: `y = −x`.

super::unary::kernel!(Neg, |x: f32| -x);

#[cfg(test)]
mod tests {
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Neg, &[], |x| -x, |_, _| 0.0);
    }
}
