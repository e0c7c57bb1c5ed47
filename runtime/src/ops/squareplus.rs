//! Squareplus: `y = (x + √(x² + b)) / 2` (Barron, 2021). Like any that computes this in float32, it is
//! infinite from |x| = 1.85 · 10¹⁹ on, where x² is.

use crate::math::sqrt;
use flatpack_format::ops::squareplus::{RULE, SquareplusParams};

super::unary::kernel!(Squareplus, RULE, SquareplusParams, |p: &SquareplusParams, x: f32| {
    0.5 * (x + sqrt(x * x + p.b))
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{noise, refusal, ulps};
    use crate::ops::unary::tests::it_meets;
    use bytemuck::bytes_of;
    use flatpack_format::{Misfit, OpCode};

    // The sum cancels for negative x: the error is relative to the root, not to y.
    #[test]
    fn it_meets_the_formula() {
        for b in [4.0f32, 0.0, 0.25] {
            let root = |x: f64| libm::sqrt((x * x) as f32 as f64 + f64::from(b));
            let formula = |x: f64| (x + root(x)) / 2.0;
            it_meets(OpCode::Squareplus, bytes_of(&SquareplusParams { b }), formula, |x, _| {
                ulps(1.75, root(x))
            });
        }
    }

    #[test]
    fn a_negative_width_is_refused() {
        let params = SquareplusParams { b: -1.0 };
        assert_eq!(refusal(OpCode::Squareplus, bytes_of(&params), &[noise(&[2], 1)], None), Misfit::Params);
    }
}
