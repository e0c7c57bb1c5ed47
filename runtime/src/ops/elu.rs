//! Exponential linear unit: `y = x` where x > 0, else `alpha · (eˣ − 1)` (Clevert et al., 2015).

use crate::math::exp_m1;
use flatpack_format::ops::elu::{EluParams, RULE};

super::unary::kernel!(Elu, RULE, EluParams, |p: &EluParams, x: f32| elu(p.alpha, x));

pub(super) fn elu(alpha: f32, x: f32) -> f32 {
    if x > 0.0 { x } else { alpha * exp_m1(x) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use bytemuck::bytes_of;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        for alpha in [1.0f32, 0.3] {
            let formula = |x| if x > 0.0 { x } else { f64::from(alpha) * libm::expm1(x) };
            it_meets(OpCode::Elu, bytes_of(&EluParams { alpha }), formula, |_, y| ulps(3.5, y));
        }
    }
}
