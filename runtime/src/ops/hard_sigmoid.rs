//! Piecewise linear sigmoid: `y = min(max(slope · x + offset, 0), 1)`.

use crate::arch::clamp;
use flatpack_format::ops::hard_sigmoid::{HardSigmoidParams, RULE};

super::unary::kernel!(HardSigmoid, RULE, HardSigmoidParams, |p: &HardSigmoidParams, x: f32| {
    hard_sigmoid(p.slope, p.offset, x)
});

pub(super) fn hard_sigmoid(slope: f32, offset: f32, x: f32) -> f32 {
    clamp(slope * x + offset, 0.0, 1.0)
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
        for (slope, offset) in [(1.0 / 6.0, 0.5f32), (0.2, 0.5)] {
            let params = HardSigmoidParams { slope, offset };
            let formula = |x: f64| (f64::from(slope) * x + f64::from(offset)).clamp(0.0, 1.0);
            it_meets(OpCode::HardSigmoid, bytes_of(&params), formula, |_, _| ulps(0.5, 1.0));
        }
    }
}
