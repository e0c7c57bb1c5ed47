//! Rectifier with threshold, slope and bound: `y = min(x, max)` where x > threshold, else
//! `slope · (x − threshold)`.

use flatpack_format::ops::thresholded_relu::{RULE, ThresholdedReluParams};

super::unary::kernel!(ThresholdedRelu, RULE, ThresholdedReluParams, |p: &ThresholdedReluParams, x: f32| {
    if x > p.threshold { if x > p.max { p.max } else { x } } else { p.slope * (x - p.threshold) }
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::ulps;
    use crate::ops::unary::tests::it_meets;
    use bytemuck::bytes_of;
    use flatpack_format::OpCode;

    fn assert_meets(threshold: f32, slope: f32, max: f32) {
        let params = ThresholdedReluParams { threshold, slope, max };
        let formula = |x: f64| {
            if x > threshold.into() {
                x.min(max.into())
            } else {
                f64::from(slope) * (x - f64::from(threshold))
            }
        };
        it_meets(OpCode::ThresholdedRelu, bytes_of(&params), formula, |_, y| ulps(2.0, y));
    }

    #[test]
    fn it_meets_the_formula() {
        assert_meets(0.5, 0.1, 2.0);
        assert_meets(1.0, 0.0, f32::INFINITY);
        assert_meets(0.0, 0.25, 6.0);
        assert_meets(2.0, 0.0, 1.0);
    }
}
