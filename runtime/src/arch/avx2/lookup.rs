//! Elements of a table of 256 bytes, 32 at a time.

use crate::arch::portable;
use bytemuck::cast;
use core::arch::x86_64::*;

/// `y = table[y]` for each.
///
/// A shuffle finds one of sixteen bytes by the lower four bits of an index, and gives zero where its highest bit is
/// set. Sixteenths of the table are gone through with indices that become less by 16: those from 0 to 127 find
/// something, so that a byte of sixteenth k is joined of those that are found in the last eight up to k. What is
/// searched is made so that they give the element.
#[target_feature(enable = "avx2")]
pub(in crate::arch) fn lookup(table: &[u8; 256], y: &mut [u8]) {
    let sixteenths: [__m128i; 16] = cast(*table);
    let (mut searched, mut last) = ([_mm256_setzero_si256(); 16], _mm256_setzero_si256());
    let (first, second) = searched.split_at_mut(8);
    for (to, sixteenth) in first.iter_mut().zip(&sixteenths) {
        let sixteenth = _mm256_broadcastsi128_si256(*sixteenth);
        *to = _mm256_xor_si256(sixteenth, last);
        last = sixteenth;
    }
    for ((to, before), sixteenth) in second.iter_mut().zip(first).zip(sixteenths.iter().skip(8)) {
        let sixteenth = _mm256_broadcastsi128_si256(*sixteenth);
        *to = _mm256_xor_si256(_mm256_xor_si256(sixteenth, last), *before);
        last = sixteenth;
    }
    let (chunks, rest) = y.as_chunks_mut::<32>();
    for chunk in chunks {
        let mut index = cast(*chunk);
        let [nearest, others @ ..] = &searched;
        let mut found = _mm256_shuffle_epi8(*nearest, index);
        for (k, searched) in (1..).zip(others) {
            let less = _mm256_set1_epi8(16);
            // What is negative already stays so.
            index = if k > 8 { _mm256_subs_epi8(index, less) } else { _mm256_sub_epi8(index, less) };
            found = _mm256_xor_si256(found, _mm256_shuffle_epi8(*searched, index));
        }
        *chunk = cast(found);
    }
    portable::lookup(table, None, rest);
}
