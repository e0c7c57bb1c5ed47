//! Sums of integers at their common scale.

use super::requantize::{Multipliers, requantize};
use bytemuck::cast;
use core::arch::x86_64::*;
use flatpack_format::ops::add_i8::AddI8Params;

/// Elements that are added at once.
const LEN: usize = 16;

/// See [`Arch::add_run_i8`](crate::arch::Arch::add_run_i8).
#[target_feature(enable = "avx2")]
pub(super) fn add_run<const MINUS: bool>(
    params: &AddI8Params,
    a: Option<&[i8]>,
    b: Option<&[i8]>,
    y: &mut [i8],
) -> Option<()> {
    let AddI8Params { a_zero_point, b_zero_point, a_multiplier, b_multiplier, multiplier, y: output } =
        *params;
    let [of_a, of_b, of_sum] = [a_multiplier, b_multiplier, multiplier].map(|by| Multipliers::of(&[by], 0));
    let at_scale = |x: [i8; LEN], zero_point: i32, by: &Multipliers| {
        let words = _mm256_cvtepi8_epi16(cast(x));
        let halves = [_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words)];
        halves.map(|half| {
            let x = _mm256_sub_epi32(_mm256_cvtepi16_epi32(half), _mm256_set1_epi32(zero_point));
            by.multiply(_mm256_slli_epi32::<20>(x))
        })
    };
    let combined = |a: [i8; LEN], b: [i8; LEN]| {
        let ([a0, a1], [b0, b1]) = (at_scale(a, a_zero_point, &of_a), at_scale(b, b_zero_point, &of_b));
        let sums = match MINUS {
            true => [_mm256_sub_epi32(a0, b0), _mm256_sub_epi32(a1, b1)],
            false => [_mm256_add_epi32(a0, b0), _mm256_add_epi32(a1, b1)],
        };
        requantize(sums, &[of_sum, of_sum], &output)
    };
    let len = y.len();
    for at in (0..len).step_by(LEN) {
        let y = y.get_mut(at..)?;
        let some = LEN.min(y.len());
        // Of fewer elements, the others are of no use.
        let of = |operand: Option<&[i8]>, y: &[i8]| {
            let from = match operand {
                Some(x) => x.get(at..)?,
                None => y,
            };
            let mut elements = [0; LEN];
            match from.first_chunk() {
                Some(from) => elements = *from,
                None => elements.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
            }
            Some(elements)
        };
        let elements = combined(of(a, y)?, of(b, y)?);
        match y.first_chunk_mut() {
            Some(y) => *y = elements,
            None => y.iter_mut().zip(elements).take(some).for_each(|(y, element)| *y = element),
        }
    }
    Some(())
}
