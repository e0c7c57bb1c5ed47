//! Magnitude: `y = |x|`.

super::unary::kernel!(Abs, |x: f32| x.abs());
