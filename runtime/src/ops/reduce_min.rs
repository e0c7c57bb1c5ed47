//! Minimum over neighbouring axes; a NaN stays.
//!
//! | operand | dtype | shape                                               | layouts |
//! |---------|-------|-----------------------------------------------------|---------|
//! | x       | f32   | `[outer…, axes…, inner…]`                             | rows    |
//! | y       | f32   | [outer…, inner…], or with ones in place of the axes | rows    |
//!
//! The rule proves the shapes and that y shares no memory with x.

use crate::arch::minimum;

super::reduce::kernel!(ReduceMin, reduce_min, f32::INFINITY, minimum, |min, _| min);

#[cfg(test)]
mod tests {
    use crate::ops::reduce::tests::{a_nan_stays, it_meets, of};
    use flatpack_format::OpCode;

    const OP: OpCode = OpCode::ReduceMin;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OP, |x| x.iter().copied().fold(f64::INFINITY, f64::min), |_| 0.0);
    }

    #[test]
    fn a_nan_among_them_stays() {
        a_nan_stays(OP);
    }

    #[test]
    fn infinities_are_compared_as_others() {
        assert_eq!(of(OP, &[f32::INFINITY; 3]), f32::INFINITY);
        assert_eq!(of(OP, &[1.0, f32::NEG_INFINITY, 2.0]), f32::NEG_INFINITY);
    }
}
