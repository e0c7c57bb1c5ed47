//! Scaled exponential linear unit: `y = scale · x` where x > 0, else `scale · alpha · (eˣ − 1)`, with
//! the constants that keep mean 0 and variance 1 (Klambauer et al., 2017).

use crate::math::exp_m1;

const ALPHA: f64 = 1.6732632423543772;
const SCALE: f64 = 1.0507009873554805;

super::unary::kernel!(Selu, selu);

pub(super) fn selu(x: f32) -> f32 {
    if x > 0.0 { SCALE as f32 * x } else { (SCALE * ALPHA) as f32 * exp_m1(x) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        let formula = |x: f64| SCALE * if x > 0.0 { x } else { ALPHA * libm::expm1(x) };
        it_meets(OpCode::Selu, &[], formula, |_, y| ulps(4.5, y));
    }
}
