//! Bounds: `y = min(max(x, min), max)`.

use crate::arch::clamp;
use flatpack_format::ops::clip::{ClipParams, RULE};

super::unary::kernel!(Clip, RULE, ClipParams, |p: &ClipParams, x: f32| clamp(x, p.clamp.min, p.clamp.max));
