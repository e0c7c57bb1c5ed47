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
    #[inline(always)]
    fn of(x: [i8; 16]) -> Self {
        // SAFETY: the processor has AVX-512.
        let x = unsafe { _mm512_cvtepi8_epi32(cast(x)) };
        // SAFETY: as above.
        Self(unsafe { _mm512_cvtepi32_ps(x) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn fraction(self, _: Self, _: Self) -> Self {
        // SAFETY: the processor has AVX-512.
        Self(unsafe { _mm512_reduce_ps::<0>(self.0) })
    }

    #[inline(always)]
    fn with_signs_of(self, other: Self) -> Self {
        let (signs, ours, other) = (cast([i32::MIN; 16]), cast(self.0), cast(other.0));
        // SAFETY: the processor has AVX-512.
        Self(cast(unsafe { _mm512_ternarylogic_epi32::<0xea>(signs, other, ours) }))
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512.
        Self(unsafe { _mm512_range_ps::<0b1011>(self.0, other.0) })
    }

    #[inline(always)]
    fn are_within(self, most: f32) -> bool {
        // SAFETY: the processor has AVX-512.
        unsafe { _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(self.0, cast([most; 16])) == 0 }
    }

    #[inline(always)]
    fn last_bytes(self) -> [i8; 16] {
        // SAFETY: the processor has AVX-512.
        cast(unsafe { _mm512_cvtepi32_epi8(cast(self.0)) })
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
