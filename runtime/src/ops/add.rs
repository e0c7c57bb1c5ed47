//! Sum: `y = clamp(a + b)`.

super::binary::kernel!(Add, |a: f32, b: f32| a + b);

#[cfg(test)]
mod tests {
    use crate::ops::binary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Add, |a, b| a + b, 0.0);
    }
}
