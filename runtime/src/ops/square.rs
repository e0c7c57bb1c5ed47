//! Square: `y = x²`.

super::unary::kernel!(Square, |x: f32| x * x);

#[cfg(test)]
mod tests {
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Square, &[], |x| x * x, |_, _| 0.0);
    }
}
