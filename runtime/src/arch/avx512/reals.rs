//! Sixteen reals in a register.

use crate::arch::avx2::Eight;
use crate::arch::wide::{Apart, Sixteen};
use crate::arch::x86::binary_i8::{self, Pairs};
use crate::arch::x86::requantize::Rounded;
use crate::arch::{PANEL_LEN, ROW_TILE};
use bytemuck::cast;
use core::arch::x86_64::*;

/// Sixteen reals in a register.
#[derive(Clone, Copy)]
pub(super) struct Reals(pub(super) __m512);

impl Sixteen for Reals {
    type Half = Eight;

    const REGISTERS: usize = 32;

    #[inline(always)]
    fn splat(v: f32) -> Self {
        Self(cast([v; PANEL_LEN]))
    }

    #[inline(always)]
    fn load(from: &[f32; PANEL_LEN]) -> Self {
        Self(cast(*from))
    }

    #[inline(always)]
    fn load_halves(from: &[u16; PANEL_LEN]) -> Self {
        // SAFETY: the processor has AVX-512.
        Self(unsafe { _mm512_cvtph_ps(cast(*from)) })
    }

    #[inline(always)]
    fn load_part(from: &[f32]) -> Self {
        let some = first(from.len());
        // SAFETY: the processor has AVX-512, and only the elements of `from` are read.
        Self(unsafe { _mm512_maskz_loadu_ps(some, from.as_ptr()) })
    }

    #[inline(never)]
    fn apart(work: &impl Apart, y: &mut [f32]) -> Option<()> {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
        fn run(work: &impl Apart, y: &mut [f32]) -> Option<()> {
            work.run(y)
        }
        // SAFETY: the processor has AVX-512.
        unsafe { run(work, y) }
    }

    #[inline(always)]
    fn totals(of: [Self; ROW_TILE]) -> [f32; ROW_TILE] {
        #[target_feature(enable = "avx512f,avx512dq")]
        #[inline]
        fn totals([a, b, c, d]: [__m512; ROW_TILE]) -> [f32; ROW_TILE] {
            let [a, b, c, d] = [joined(a), joined(b), joined(c), joined(d)];
            let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            cast(_mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves)))
        }
        #[target_feature(enable = "avx512f,avx512dq")]
        #[inline]
        fn joined(of: __m512) -> __m256 {
            _mm256_add_ps(_mm512_castps512_ps256(of), _mm512_extractf32x8_ps::<1>(of))
        }
        // SAFETY: the processor has AVX-512.
        unsafe { totals(of.map(|Self(of)| of)) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; PANEL_LEN]) {
        *to = cast(self.0);
    }

    #[inline(always)]
    fn store_part(self, to: &mut [f32]) {
        let some = first(to.len());
        // SAFETY: the processor has AVX-512, and only the elements of `to` are written.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), some, self.0) };
    }

    #[inline(always)]
    fn add_product(self, x: Self, w: Self) -> Self {
        // SAFETY: the processor has AVX-512.
        Self(unsafe { _mm512_fmadd_ps(x.0, w.0, self.0) })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512.
        Self(unsafe { _mm512_max_ps(other.0, self.0) })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512.
        Self(unsafe { _mm512_min_ps(other.0, self.0) })
    }
}

impl Rounded for Reals {
    type Integers = __m512i;

    #[inline(always)]
    fn of(x: [i8; 16]) -> Self {
        // SAFETY: the processor has AVX-512.
        let x = unsafe { _mm512_cvtepi8_epi32(cast(x)) };
        // SAFETY: as above.
        Self(unsafe { _mm512_cvtepi32_ps(x) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn or_below_zero(self, below: Self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512.
        let signs = unsafe { _mm512_movepi32_mask(cast(other.0)) };
        // SAFETY: as above.
        Self(unsafe { _mm512_mask_blend_ps(signs, self.0, below.0) })
    }

    #[inline(always)]
    fn nearest(self) -> __m512i {
        // SAFETY: the processor has AVX-512.
        unsafe { _mm512_cvtps_epi32(self.0) }
    }

    #[inline(always)]
    fn lower_halves(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the processor has AVX-512.
        unsafe { _mm512_min_epu16(a, b) }
    }

    #[inline(always)]
    fn are_above(lower_halves: __m512i, most: u16) -> bool {
        // SAFETY: the processor has AVX-512.
        unsafe { _mm512_mask_cmple_epu16_mask(0x5555_5555, lower_halves, cast([most; 32])) == 0 }
    }

    #[inline(always)]
    fn upper_halves(of: __m512i, min: i8, max: i8) -> [i8; 16] {
        #[target_feature(enable = "avx512f,avx512vl")]
        #[inline]
        fn upper_halves(of: __m512i, min: __m128i, max: __m128i) -> __m128i {
            let y = _mm512_cvtsepi32_epi8(_mm512_srai_epi32::<16>(of));
            _mm_min_epi8(_mm_max_epi8(y, min), max)
        }
        // SAFETY: the processor has AVX-512.
        cast(unsafe { upper_halves(of, cast([min; 16]), cast([max; 16])) })
    }

    fn run(of: &impl Pairs<Self>, a: Option<&[i8]>, b: Option<&[i8]>, y: &mut [i8]) -> Option<()> {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn run(of: &impl Pairs<Reals>, a: Option<&[i8]>, b: Option<&[i8]>, y: &mut [i8]) -> Option<()> {
            binary_i8::run(of, a, b, y)
        }
        // SAFETY: the processor has AVX-512.
        unsafe { run(of, a, b, y) }
    }

    #[inline(always)]
    fn exactly(of: &impl Pairs<Self>, a: &[[i8; 16]], b: &[[i8; 16]], y: &mut [[i8; 16]]) {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        #[cold]
        #[inline(never)]
        fn run(of: &impl Pairs<Reals>, a: &[[i8; 16]], b: &[[i8; 16]], y: &mut [[i8; 16]]) {
            binary_i8::exactly(of, a, b, y);
        }
        // SAFETY: the processor has AVX-512.
        unsafe { run(of, a, b, y) }
    }
}

/// A one for so many of the first places.
#[inline(always)]
fn first(len: usize) -> u16 {
    (1u32 << len.min(PANEL_LEN)).wrapping_sub(1) as u16
}
