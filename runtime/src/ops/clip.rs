//! Bounds: `y = min(max(x, min), max)`.

use crate::arch::clamp;
use flatpack_format::ops::clip::{ClipParams, RULE};

super::unary::kernel!(Clip, RULE, ClipParams, |p: &ClipParams, x: f32| clamp(x, p.clamp.min, p.clamp.max));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{noise, refusal};
    use crate::ops::unary::tests::it_meets;
    use bytemuck::bytes_of;
    use flatpack_format::ops::Clamp;
    use flatpack_format::{Misfit, OpCode};

    #[test]
    fn it_meets_the_formula() {
        for (min, max) in [(0.0, f32::INFINITY), (-1.0, 1.0), (2.5, 2.5)] {
            let params = ClipParams { clamp: Clamp { min, max } };
            it_meets(OpCode::Clip, bytes_of(&params), |x| x.clamp(min.into(), max.into()), |_, _| 0.0);
        }
    }

    #[test]
    fn bounds_in_the_wrong_order_are_refused() {
        let params = ClipParams { clamp: Clamp { min: 1.0, max: -1.0 } };
        assert_eq!(refusal(OpCode::Clip, bytes_of(&params), &[noise(&[2], 1)], None), Misfit::Params);
    }
}
