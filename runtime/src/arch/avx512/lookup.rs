//! Elements of a table of 256 bytes, 64 at a time where the processor selects bytes from two registers (VBMI).

use crate::arch::{avx2, portable};
use bytemuck::cast;
use core::arch::x86_64::*;

/// `y = table[y]` for each.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
pub(super) fn lookup(table: &[u8; 256], y: &mut [u8]) {
    if std::arch::is_x86_feature_detected!("avx512vbmi") {
        // SAFETY: the processor has VBMI.
        unsafe { by_selection(table, y) }
    } else {
        avx2::lookup(table, y);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn by_selection(table: &[u8; 256], y: &mut [u8]) {
    let [a, b, c, d]: [__m512i; 4] = cast(*table);
    let (chunks, rest) = y.as_chunks_mut::<64>();
    for chunk in chunks {
        let index = cast(*chunk);
        let (low, high) = (_mm512_permutex2var_epi8(a, index, b), _mm512_permutex2var_epi8(c, index, d));
        *chunk = cast(_mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high));
    }
    portable::lookup(table, None, rest);
}
