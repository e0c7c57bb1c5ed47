//! Difference: `y = clamp(a − b)`.

super::binary::kernel!(Sub, |a: f32, b: f32| a - b);

#[cfg(test)]
mod tests {
    use crate::ops::binary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Sub, |a, b| a - b, 0.0);
    }
}
