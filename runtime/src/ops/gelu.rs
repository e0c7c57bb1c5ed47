//! Gaussian error linear unit: `y = x / 2 · (1 + erf(x / √2))`, or its approximation
//! `y = x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))` (Hendrycks and Gimpel, 2016).

use crate::arch::Arch;
use core::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
use flatpack_format::ops::gelu::{GeluParams, RULE};

super::unary::kernel!(Gelu, RULE, GeluParams, |p: &GeluParams, x: f32| match p.approximate {
    0 => gelu::<A>(x),
    _ => half(x, A::tanh_f32(FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * (x + 0.044_715 * x * x * x))),
});

#[inline(always)]
pub(super) fn gelu<A: Arch>(x: f32) -> f32 {
    half(x, A::erf_f32(FRAC_1_SQRT_2 * x))
}

#[inline(always)]
fn half(x: f32, share: f32) -> f32 {
    0.5 * x * (1.0 + share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{noise, refusal, ulps};
    use crate::ops::unary::tests::it_meets;
    use bytemuck::bytes_of;
    use flatpack_format::{Misfit, OpCode};

    // 1 + erf cancels for negative x: the error is relative to x, not to y.
    #[test]
    fn it_meets_the_formula() {
        let formula = |x| 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt()));
        it_meets(OpCode::Gelu, bytes_of(&GeluParams { approximate: 0 }), formula, |x, _| ulps(2.6, x));
    }

    #[test]
    fn it_meets_the_approximation() {
        let slope = (2.0 / core::f64::consts::PI).sqrt();
        let formula = |x| 0.5 * x * (1.0 + libm::tanh(slope * (x + 0.044_715 * x * x * x)));
        it_meets(OpCode::Gelu, bytes_of(&GeluParams { approximate: 1 }), formula, |x, _| ulps(3.25, x));
    }

    #[test]
    fn another_approximation_is_refused() {
        let params = GeluParams { approximate: 2 };
        assert_eq!(refusal(OpCode::Gelu, bytes_of(&params), &[noise(&[2], 1)], None), Misfit::Params);
    }
}
