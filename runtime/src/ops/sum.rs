//! Sum over neighbouring axes: `y = Σ x`.
//!
//! | operand | dtype | shape                                               | layouts |
//! |---------|-------|-----------------------------------------------------|---------|
//! | x       | f32   | `[outer…, axes…, inner…]`                             | rows    |
//! | y       | f32   | [outer…, inner…], or with ones in place of the axes | rows    |
//!
//! The rule proves the shapes and that y shares no memory with x.

super::reduce::kernel!(Sum, sum, 0.0, |a, b| a + b, |sum, _| sum);

#[cfg(test)]
mod tests {
    use crate::ops::reduce::tests::{it_meets, long, sum_error};
    use flatpack_format::OpCode;

    const OP: OpCode = OpCode::Sum;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OP, |x| x.iter().sum(), sum_error);
    }

    #[test]
    fn a_long_sum_keeps_its_digits() {
        let want = 200_000.0 * f64::from(0.1f32);
        for y in long(OP, 0.1) {
            assert!((f64::from(y) - want).abs() < want * 1e-6, "{y}");
        }
    }
}
