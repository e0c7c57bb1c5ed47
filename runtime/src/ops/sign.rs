//! Sign: `y = 1` where x > 0, −1 where x < 0, else x: ±0 and NaN stay.

super::unary::kernel!(Sign, |x: f32| { if x == 0.0 || x.is_nan() { x } else { x.signum() } });

#[cfg(test)]
mod tests {
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(
            OpCode::Sign,
            &[],
            |x| {
                if x > 0.0 {
                    1.0
                } else if x < 0.0 {
                    -1.0
                } else {
                    x
                }
            },
            |_, _| 0.0,
        );
    }
}
