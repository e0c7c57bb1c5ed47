//! Continuously differentiable ELU: `y = x` where x > 0, else `alpha · (e^(x / alpha) − 1)` (Barron,
//! 2017).

use crate::math::exp_m1;
use flatpack_format::ops::celu::{CeluParams, RULE};

super::unary::kernel!(Celu, RULE, CeluParams, |p: &CeluParams, x: f32| if x > 0.0 {
    x
} else {
    p.alpha * exp_m1(x / p.alpha)
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{noise, refusal, ulps};
    use crate::ops::unary::tests::it_meets;
    use bytemuck::bytes_of;
    use flatpack_format::{Misfit, OpCode};

    #[test]
    fn it_meets_the_formula() {
        for alpha in [1.0f32, 0.3, 7.0] {
            let a = f64::from(alpha);
            let formula = |x: f64| if x > 0.0 { x } else { a * libm::expm1(x / a) };
            it_meets(OpCode::Celu, bytes_of(&CeluParams { alpha }), formula, |_, y| ulps(4.5, y));
        }
    }

    #[test]
    fn an_alpha_of_zero_is_refused() {
        let params = CeluParams { alpha: 0.0 };
        assert_eq!(refusal(OpCode::Celu, bytes_of(&params), &[noise(&[2], 1)], None), Misfit::Params);
    }
}
