//! Smaller element: `y = clamp(min(a, b))`; a NaN on either side stays.

super::binary::kernel!(Minimum, |a: f32, b: f32| if a < b || a.is_nan() { a } else { b });

#[cfg(test)]
mod tests {
    use crate::ops::binary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Minimum, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }, 0.0);
    }
}
