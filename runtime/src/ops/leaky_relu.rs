//! Leaky rectifier: `y = x` where x ≥ 0, else `alpha · x`.

use flatpack_format::ops::leaky_relu::{LeakyReluParams, RULE};

super::unary::kernel!(LeakyRelu, RULE, LeakyReluParams, |p: &LeakyReluParams, x: f32| if x >= 0.0 {
    x
} else {
    p.alpha * x
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::unary::tests::it_meets;
    use bytemuck::bytes_of;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        for alpha in [0.2f32, 1.5, -1.0] {
            let formula = |x| if x >= 0.0 { x } else { f64::from(alpha) * x };
            it_meets(OpCode::LeakyRelu, bytes_of(&LeakyReluParams { alpha }), formula, |_, _| 0.0);
        }
    }
}
