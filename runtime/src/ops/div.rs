//! Quotient: `y = clamp(a / b)`, by IEEE 754: ±∞ or NaN where b is 0.

super::binary::kernel!(Div, |a: f32, b: f32| a / b);

#[cfg(test)]
mod tests {
    use crate::ops::binary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::Div, |a, b| a / b, 0.0);
    }
}
