//! Elements of a table of 256 bytes, 16 at a time.

use crate::arch::portable;
use bytemuck::cast;
use core::arch::aarch64::*;

/// `y = table[y]` for each. Four registers are searched at once, with indices from 0 to 63: others find nothing.
#[target_feature(enable = "neon")]
pub(super) fn lookup(table: &[u8; 256], y: &mut [u8]) {
    let [a, b, c, d]: [[uint8x16_t; 4]; 4] = cast(*table);
    let (a, b, c, d) = (four(a), four(b), four(c), four(d));
    let (chunks, rest) = y.as_chunks_mut::<16>();
    for chunk in chunks {
        let index = cast(*chunk);
        let mut found = vqtbl4q_u8(a, index);
        found = vqtbx4q_u8(found, b, vsubq_u8(index, vdupq_n_u8(64)));
        found = vqtbx4q_u8(found, c, vsubq_u8(index, vdupq_n_u8(128)));
        found = vqtbx4q_u8(found, d, vsubq_u8(index, vdupq_n_u8(192)));
        *chunk = cast(found);
    }
    portable::lookup(table, None, rest);
}

/// Registers that are searched together.
#[inline(always)]
fn four([a, b, c, d]: [uint8x16_t; 4]) -> uint8x16x4_t {
    uint8x16x4_t(a, b, c, d)
}
