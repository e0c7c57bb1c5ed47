//! Piecewise quadratic swish: `y = x · min(max(x + 3, 0), 6) / 6`.

use crate::arch::clamp;

super::unary::kernel!(HardSwish, hard_swish);

pub(super) fn hard_swish(x: f32) -> f32 {
    x * (clamp(x + 3.0, 0.0, 6.0) * (1.0 / 6.0))
}

#[cfg(test)]
mod tests {
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        it_meets(OpCode::HardSwish, &[], |x| x * ((x + 3.0).clamp(0.0, 6.0) / 6.0), |_, y| ulps(4.0, y));
    }
}
