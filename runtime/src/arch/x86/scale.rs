//! How operands of a sum of integers come to their common scale, without products of more than 32 bits.

use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::AddI8Params;

/// See [`Arch::adds_i8`](crate::arch::Arch::adds_i8): real models' operands are not shifted to the left.
pub(in crate::arch) fn adds(params: &AddI8Params) -> bool {
    params.a_multiplier.shift <= 0 && params.b_multiplier.shift <= 0
}

/// How an operand comes to the common scale: `(x − zero_point) · 2²⁰` times a multiplier that does not shift to the left.
///
/// For v of 9 bits, the high half of twice the product is `⌊(v · mantissa + 2¹⁰) / 2¹¹⌋`: of the mantissa's upper and
/// lower bits by themselves, products stay within 32 bits.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Scale {
    pub(in crate::arch) zero_point: i32,
    /// Bits of the mantissa.
    pub(in crate::arch) upper: i32,
    pub(in crate::arch) lower: i32,
    /// Places to the right, and half of what they drop.
    pub(in crate::arch) right: i32,
    pub(in crate::arch) half: i32,
    /// All ones if there is a shift: halves are rounded away from zero.
    pub(in crate::arch) shifts: i32,
}

impl Scale {
    /// Of both operands.
    pub(in crate::arch) fn of_both(params: &AddI8Params) -> [Self; 2] {
        let of_a = Self::of(params.a_zero_point, params.a_multiplier);
        [of_a, Self::of(params.b_zero_point, params.b_multiplier)]
    }

    fn of(zero_point: i32, by: Multiplier) -> Self {
        let right = by.shift.min(0).wrapping_neg();
        Self {
            zero_point,
            upper: by.mantissa >> 11,
            lower: by.mantissa & 0x7ff,
            right,
            half: (1u32.wrapping_shl(right as u32) >> 1) as i32,
            shifts: if right == 0 { 0 } else { -1 },
        }
    }
}
