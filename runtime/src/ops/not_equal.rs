//! Inequality: `y = clamp(1)` where a ≠ b, else `clamp(0)`; a NaN differs from all.

super::binary::kernel!(NotEqual, |a: f32, b: f32| f32::from(u8::from(a != b)));

#[cfg(test)]
mod tests {
    use crate::ops::binary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::NotEqual, |a, b| if a != b { 1.0 } else { 0.0 }, 0.0);
    }
}
