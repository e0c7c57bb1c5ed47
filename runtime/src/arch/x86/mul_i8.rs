//! Products of integers.

use super::binary_i8::Pairs;
use super::requantize::{Elements, Real, Rounded};
use crate::fixed::requantize;
use core::array::from_fn;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::mul_i8::MulI8Params;

/// See [`crate::ops::mul_i8`].
#[derive(Clone, Copy)]
pub(in crate::arch) struct Products<'p> {
    params: &'p MulI8Params,
    zero_points: [f32; 2],
    by: f32,
    /// What is added to products from zero on, and below zero.
    away: [f32; 2],
    elements: Elements,
}

impl<'p> Products<'p> {
    pub(in crate::arch) fn of(params: &'p MulI8Params) -> Self {
        let &MulI8Params { a_zero_point, b_zero_point, multiplier, y } = params;
        let Real { by, away } = Real::of(multiplier);
        let elements = Elements::of_sums(&y, Multiplier::all_plain(&[multiplier]));
        Self {
            params,
            zero_points: [a_zero_point as f32, b_zero_point as f32],
            by,
            away: [elements.offset + away, elements.offset - away],
            elements,
        }
    }
}

impl<V: Rounded> Pairs<V> for Products<'_> {
    #[inline(always)]
    fn elements(&self) -> &Elements {
        &self.elements
    }

    #[inline(always)]
    fn reals(&self, a: V, b: V) -> V {
        let [a_zero, b_zero] = self.zero_points;
        // Without an error: it has 18 bits.
        let product = V::splat(0.0).add_product(a.sub(V::splat(a_zero)), b.sub(V::splat(b_zero)));
        let [above, below] = self.away.map(V::splat);
        above.or_below_zero(below, product).add_product(product, V::splat(self.by))
    }

    #[inline(always)]
    fn exactly(&self, a: [i8; 16], b: [i8; 16]) -> [i8; 16] {
        let &MulI8Params { a_zero_point, b_zero_point, multiplier, ref y } = self.params;
        let (mut a, mut b) = (a.into_iter(), b.into_iter());
        from_fn(|_| {
            let a = i32::from(a.next().unwrap_or_default()) - a_zero_point;
            let b = i32::from(b.next().unwrap_or_default()) - b_zero_point;
            requantize(a * b, multiplier, y)
        })
    }
}
