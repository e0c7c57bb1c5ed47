//! Sums of integers at their common scale.

use super::binary_i8::Pairs;
use super::requantize::{Elements, ONE, Rounded, power};
use crate::arch::OutputsI8;
use crate::arch::wide::{Places, Rounding};
use bytemuck::{Pod, cast};
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::AddI8Params;

/// Sums of two tensors, or differences: see [`crate::ops::add_i8`].
pub(in crate::arch) struct Sums<O, const MINUS: bool> {
    /// What an element of each operand is in y, of which [`ONE`] are one, and what both are together where they are zero,
    /// with [`Elements::offset`].
    by: [f32; 2],
    of_zeros: f32,
    elements: Elements,
    /// As integers.
    scales: [Scale; 2],
    outputs: O,
}

impl<O: Rounding, const MINUS: bool> Sums<O, MINUS> {
    /// With these parameters; `None` if an operand is shifted to the left, which real models' are not.
    pub(in crate::arch) fn of(params: &AddI8Params) -> Option<Self> {
        let &AddI8Params { a_zero_point, a_multiplier, b_zero_point, b_multiplier, multiplier, y } = params;
        let requant = [multiplier];
        let outputs = OutputsI8 { bias: &[], requant: &requant, plain: Multiplier::all_plain(&requant), y };
        let real = |by: Multiplier| f64::from(by.mantissa) * f64::from(power(by.shift - 31));
        let of_y = real(multiplier) * f64::from(ONE);
        let scaled = |by: Multiplier| real(by) * f64::from(1 << 20) * of_y;
        let (of_a, of_b) = (scaled(a_multiplier), scaled(b_multiplier));
        let of_b = if MINUS { -of_b } else { of_b };
        let of_zeros = -(of_a * f64::from(a_zero_point) + of_b * f64::from(b_zero_point));
        // What factors of up to 128 lose as reals; both operands and their sum, rounded as integers by up to 1 and by half of
        // that; and what reals lose: that of zeros, with the offset, the first sum, that of both up to the bounds, as an
        // integer.
        let lost = |by: f64| (by - f64::from(by as f32)).abs() * 128.0;
        let largest = of_zeros.abs() + f64::from(ONE) * 129.0 + 128.0 * of_b.abs();
        let error = lost(of_a) + lost(of_b) + 3.0 * of_y + 2.0 * largest / f64::from(1 << 24) + 1.0;
        let elements = Elements::of(&y, if outputs.plain { error } else { f64::from(ONE) });
        let scales = [Scale::of(a_zero_point, a_multiplier)?, Scale::of(b_zero_point, b_multiplier)?];
        Some(Self {
            by: [of_a as f32, of_b as f32],
            of_zeros: (of_zeros + f64::from(elements.offset)) as f32,
            elements,
            scales,
            outputs: O::of(&outputs, 0),
        })
    }
}

impl<V: Rounded, O: Rounding<Sums: Pod>, const MINUS: bool> Pairs<V> for Sums<O, MINUS> {
    #[inline(always)]
    fn elements(&self) -> &Elements {
        &self.elements
    }

    #[inline(always)]
    fn reals(&self, a: V, b: V) -> V {
        let [of_a, of_b] = self.by;
        V::splat(self.of_zeros).add_product(b, V::splat(of_b)).add_product(a, V::splat(of_a))
    }

    #[inline(always)]
    fn exactly(&self, a: [i8; 16], b: [i8; 16]) -> [i8; 16] {
        let [of_a, of_b] = self.scales;
        let (mut sums, of_b) = (of_a.scaled(a), of_b.scaled(b));
        for (a, b) in sums.iter_mut().zip(of_b) {
            *a = if MINUS { a.wrapping_sub(b) } else { a.wrapping_add(b) };
        }
        let mut y = [0; 16];
        // There is a place for all.
        let _ = self.outputs.put(&[cast(sums)], Places { y: &mut y, stride: 16, len: 16 });
        y
    }
}

/// How an operand comes to the common scale: `(x − zero_point) · 2²⁰` times a multiplier that does not shift to the left.
///
/// For v of 9 bits, the high half of twice the product is `⌊(v · mantissa + 2¹⁰) / 2¹¹⌋`: of the mantissa's upper and
/// lower bits by themselves, products stay within 32 bits.
#[derive(Clone, Copy)]
struct Scale {
    zero_point: i32,
    /// Bits of the mantissa.
    upper: i32,
    lower: i32,
    /// Places to the right, and half of what they drop.
    right: u32,
    half: i32,
    /// All ones if there is a shift: halves are rounded away from zero.
    shifts: i32,
}

impl Scale {
    fn of(zero_point: i32, by: Multiplier) -> Option<Self> {
        let right = if by.shift > 0 { return None } else { by.shift.unsigned_abs() };
        Some(Self {
            zero_point,
            upper: by.mantissa >> 11,
            lower: by.mantissa & 0x7ff,
            right,
            half: (1u32.wrapping_shl(right) >> 1).cast_signed(),
            shifts: if right == 0 { 0 } else { -1 },
        })
    }

    /// Elements at the common scale.
    #[inline(always)]
    fn scaled(self, x: [i8; 16]) -> [i32; 16] {
        x.map(|x| {
            let v = i32::from(x) - self.zero_point;
            let low = v.wrapping_mul(self.lower).wrapping_add(1 << 10);
            let high = v.wrapping_mul(self.upper).wrapping_add(low >> 11);
            let below_zero = (high >> 31) & self.shifts;
            high.wrapping_add(self.half).wrapping_add(below_zero).wrapping_shr(self.right)
        })
    }
}
