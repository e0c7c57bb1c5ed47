//! Magnitude: `y = |x|`.

super::unary::kernel!(Abs, |x: f32| x.abs());

#[cfg(test)]
mod tests {
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Abs, &[], |x| x.abs(), |_, _| 0.0);
    }
}
