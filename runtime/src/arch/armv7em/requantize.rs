//! Sums as elements of y, in assembly: what the loops over outputs end with.

use crate::arch::OutputsI8;

/// What becomes of sums.
#[repr(C)]
pub(super) struct Ends {
    /// Twice the zero point and 1: half of the last step of the shift is added one bit above it.
    moved: i32,
    min: i32,
    max: i32,
}

impl Ends {
    pub(super) fn of(outputs: &OutputsI8<'_>) -> Self {
        let y = &outputs.y;
        Self { moved: y.zero_point.wrapping_mul(2).wrapping_add(1), min: y.min, max: y.max }
    }
}

/// A sum in `$v` by mantissa `$m` and the complement of the shift `$e`, moved by `$moved`. A sum past 2³⁰
/// becomes the nearest such: what the shift, at most 20 places, leaves is past all bounds, as it should be.
macro_rules! requantize {
    ($v:literal, $m:literal, $e:literal, $moved:literal) => {
        concat!(
            "qadd ",
            $v,
            ", ",
            $v,
            ", ",
            $v,
            "\n",
            "smmulr ",
            $v,
            ", ",
            $v,
            ", ",
            $m,
            "\n",
            "add ",
            $v,
            ", ",
            $v,
            ", ",
            $v,
            ", asr #31\n",
            "asr ",
            $v,
            ", ",
            $v,
            ", ",
            $e,
            "\n",
            "add ",
            $v,
            ", ",
            $v,
            ", ",
            $moved,
            "\n",
            "ssat ",
            $v,
            ", #8, ",
            $v,
            ", asr #1\n",
        )
    };
}

/// `$v` within `$min` and `$max`.
macro_rules! bound {
    ($v:literal, $min:literal, $max:literal) => {
        concat!(
            "cmp ", $v, ", ", $min, "\n", "it lt\n", "movlt ", $v, ", ", $min, "\n", "cmp ", $v, ", ", $max,
            "\n", "it gt\n", "movgt ", $v, ", ", $max, "\n",
        )
    };
}
