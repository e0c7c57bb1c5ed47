//! Product over neighbouring axes: `y = Π x`.
//!
//! | operand | dtype | shape                                               | layouts |
//! |---------|-------|-----------------------------------------------------|---------|
//! | x       | f32   | `[outer…, axes…, inner…]`                             | rows    |
//! | y       | f32   | [outer…, inner…], or with ones in place of the axes | rows    |
//!
//! The rule proves the shapes and that y shares no memory with x.

super::reduce::kernel!(ReduceProd, reduce_prod, 1.0, |a, b| a * b, |product, _| product);

#[cfg(test)]
mod tests {
    use crate::ops::reduce::tests::{a_nan_stays, it_meets, of};
    use flatpack_format::OpCode;

    const OP: OpCode = OpCode::ReduceProd;

    #[test]
    fn it_meets_the_formula() {
        // One rounding for each factor, and products below the normal numbers.
        let error = |x: &[f64]| x.len() as f64 / (1 << 24) as f64 * x.iter().product::<f64>().abs() + 1e-38;
        it_meets(OP, |x| x.iter().product(), error);
    }

    #[test]
    fn a_nan_among_them_stays() {
        a_nan_stays(OP);
    }

    #[test]
    fn the_product_of_many_is_theirs() {
        assert_eq!(of(OP, &[2.0; 100]), 2f32.powi(100));
        assert_eq!(of(OP, &[-1.0; 33]), -1.0);
    }
}
