//! Mean over neighbouring axes: `y = Σ x / count`.
//!
//! | operand | dtype | shape                                               | layouts |
//! |---------|-------|-----------------------------------------------------|---------|
//! | x       | f32   | `[outer…, axes…, inner…]`                             | rows    |
//! | y       | f32   | [outer…, inner…], or with ones in place of the axes | rows    |
//!
//! The rule proves the shapes and that y shares no memory with x.

super::reduce::kernel!(Mean, mean, 0.0, |a, b| a + b, |sum, count| sum / count);

#[cfg(test)]
mod tests {
    use crate::ops::reduce::tests::{it_meets, long, sum_error};
    use flatpack_format::OpCode;

    const OP: OpCode = OpCode::Mean;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OP, |x| x.iter().sum::<f64>() / x.len() as f64, |x| sum_error(x) / x.len() as f64);
    }

    #[test]
    fn it_meets_keras() {
        use crate::one_step::{difference, recorded, run};
        use flatpack_format::ops::mean::ReduceParams;
        let Some((x, y)) = recorded("gap2d") else { return };
        let params = ReduceParams { axis: 1, axis_count: 2, keep_dims: 0 };
        assert!(difference(&run(OP, bytemuck::bytes_of(&params), &[x]), &y.values) < 2e-7);
    }

    #[test]
    fn a_long_mean_keeps_its_digits() {
        for y in long(OP, 0.1) {
            assert!((y - 0.1).abs() < 1e-7, "{y}");
        }
    }
}
