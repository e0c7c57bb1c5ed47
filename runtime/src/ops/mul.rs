//! Product: `y = clamp(a · b)`.

super::binary::kernel!(Mul, |a: f32, b: f32| a * b);

#[cfg(test)]
mod tests {
    use crate::ops::binary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Mul, |a, b| a * b, 0.0);
    }
}
