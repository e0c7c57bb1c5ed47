//! Sixteen reals in two registers.

use crate::arch::wide::{Apart, Sixteen};
use crate::arch::x86::binary_i8::{self, Pairs};
use crate::arch::x86::requantize::Rounded;
use crate::arch::{PANEL_LEN, ROW_TILE};
use bytemuck::cast;
use core::arch::x86_64::*;

/// Sixteen reals in two registers.
#[derive(Clone, Copy)]
pub(super) struct Reals(pub(super) [__m256; 2]);

impl Sixteen for Reals {
    type Half = Eight;

    const REGISTERS: usize = 8;

    #[inline(always)]
    fn splat(v: f32) -> Self {
        Self([cast([v; 8]); 2])
    }

    #[inline(always)]
    fn load(from: &[f32; PANEL_LEN]) -> Self {
        Self(cast(*from))
    }

    #[inline(always)]
    fn load_halves(from: &[u16; PANEL_LEN]) -> Self {
        let [low, high]: [[u16; 8]; 2] = cast(*from);
        // SAFETY: the processor has F16C.
        let low = unsafe { _mm256_cvtph_ps(cast(low)) };
        // SAFETY: as above.
        Self([low, unsafe { _mm256_cvtph_ps(cast(high)) }])
    }

    #[inline(always)]
    fn load_part(from: &[f32]) -> Self {
        let len = from.len().min(PANEL_LEN) as i32;
        let from = from.as_ptr();
        let [low, high]: [__m256i; 2] = cast(
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map(|i: i32| if i < len { -1 } else { 0 }),
        );
        // SAFETY: the processor has AVX2, and only the elements of `from` are read.
        let low = unsafe { _mm256_maskload_ps(from, low) };
        // SAFETY: as above.
        let high = unsafe { _mm256_maskload_ps(from.wrapping_add(8), high) };
        Self([low, high])
    }

    #[inline(never)]
    fn apart(work: &impl Apart, y: &mut [f32]) -> Option<()> {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn run(work: &impl Apart, y: &mut [f32]) -> Option<()> {
            work.run(y)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(work, y) }
    }

    #[inline(always)]
    fn totals(of: [Self; ROW_TILE]) -> [f32; ROW_TILE] {
        #[target_feature(enable = "avx2,fma,f16c")]
        #[inline]
        fn totals([a, b, c, d]: [[__m256; 2]; ROW_TILE]) -> [f32; ROW_TILE] {
            let [a, b, c, d] = [joined(a), joined(b), joined(c), joined(d)];
            let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            cast(_mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves)))
        }
        #[target_feature(enable = "avx2,fma,f16c")]
        #[inline]
        fn joined([low, high]: [__m256; 2]) -> __m256 {
            _mm256_add_ps(low, high)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { totals(of.map(|Self(of)| of)) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; PANEL_LEN]) {
        *to = cast(self.0);
    }

    #[inline(always)]
    fn add_product(self, x: Self, w: Self) -> Self {
        let (Self([s0, s1]), Self([x0, x1]), Self([w0, w1])) = (self, x, w);
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { _mm256_fmadd_ps(x0, w0, s0) };
        // SAFETY: as above.
        let high = unsafe { _mm256_fmadd_ps(x1, w1, s1) };
        Self([low, high])
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        let (Self([a0, a1]), Self([b0, b1])) = (self, other);
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { _mm256_max_ps(b0, a0) };
        // SAFETY: as above.
        let high = unsafe { _mm256_max_ps(b1, a1) };
        Self([low, high])
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        let (Self([a0, a1]), Self([b0, b1])) = (self, other);
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { _mm256_min_ps(b0, a0) };
        // SAFETY: as above.
        let high = unsafe { _mm256_min_ps(b1, a1) };
        Self([low, high])
    }
}

impl Rounded for Reals {
    #[inline(always)]
    fn of(x: [i8; 16]) -> Self {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn of(x: [i8; 16]) -> [__m256; 2] {
            let words = _mm256_cvtepi8_epi16(cast(x));
            let (low, high) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            let (low, high) = (_mm256_cvtepi16_epi32(low), _mm256_cvtepi16_epi32(high));
            [_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)]
        }
        // SAFETY: the processor has AVX2 and FMA.
        Self(unsafe { of(x) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let (Self([a0, a1]), Self([b0, b1])) = (self, other);
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { _mm256_add_ps(a0, b0) };
        // SAFETY: as above.
        Self([low, unsafe { _mm256_add_ps(a1, b1) }])
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let (Self([a0, a1]), Self([b0, b1])) = (self, other);
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { _mm256_sub_ps(a0, b0) };
        // SAFETY: as above.
        Self([low, unsafe { _mm256_sub_ps(a1, b1) }])
    }

    #[inline(always)]
    fn with_signs_of(self, other: Self) -> Self {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn with_signs_of(a: __m256, b: __m256) -> __m256 {
            _mm256_or_ps(a, _mm256_and_ps(b, _mm256_set1_ps(-0.0)))
        }
        let (Self([a0, a1]), Self([b0, b1])) = (self, other);
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { with_signs_of(a0, b0) };
        // SAFETY: as above.
        Self([low, unsafe { with_signs_of(a1, b1) }])
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn larger(a: __m256, b: __m256) -> __m256 {
            _mm256_max_ps(a, _mm256_andnot_ps(_mm256_set1_ps(-0.0), b))
        }
        let (Self([a0, a1]), Self([b0, b1])) = (self, other);
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { larger(a0, b0) };
        // SAFETY: as above.
        Self([low, unsafe { larger(a1, b1) }])
    }

    #[inline(always)]
    fn are_within(self, most: f32) -> bool {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn are_within([low, high]: [__m256; 2], most: f32) -> bool {
            let beyond = _mm256_cmp_ps::<_CMP_NLE_UQ>(_mm256_max_ps(low, high), _mm256_set1_ps(most));
            _mm256_movemask_ps(beyond) == 0
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { are_within(self.0, most) }
    }

    #[inline(always)]
    fn last_bytes(self) -> [i8; 16] {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn last_bytes([low, high]: [__m256i; 2]) -> __m128i {
            // Of each half, the bytes of the first register, then of the second one.
            let first = _mm256_set1_epi64x(i64::from_le_bytes([0, 4, 8, 12, 128, 128, 128, 128]));
            let second = _mm256_set1_epi64x(i64::from_le_bytes([128, 128, 128, 128, 0, 4, 8, 12]));
            let bytes = _mm256_or_si256(_mm256_shuffle_epi8(low, first), _mm256_shuffle_epi8(high, second));
            let (front, back) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
            _mm_unpacklo_epi32(front, back)
        }
        // SAFETY: the processor has AVX2 and FMA.
        cast(unsafe { last_bytes(cast(self.0)) })
    }

    fn run(of: &impl Pairs<Self>, a: Option<&[i8]>, b: Option<&[i8]>, y: &mut [i8]) -> Option<()> {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn run(of: &impl Pairs<Reals>, a: Option<&[i8]>, b: Option<&[i8]>, y: &mut [i8]) -> Option<()> {
            binary_i8::run(of, a, b, y)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(of, a, b, y) }
    }

    #[inline(always)]
    fn exactly(of: &impl Pairs<Self>, a: &[[i8; 16]], b: &[[i8; 16]], y: &mut [[i8; 16]]) {
        #[target_feature(enable = "avx2,fma,f16c")]
        #[cold]
        #[inline(never)]
        fn run(of: &impl Pairs<Reals>, a: &[[i8; 16]], b: &[[i8; 16]], y: &mut [[i8; 16]]) {
            binary_i8::exactly(of, a, b, y);
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(of, a, b, y) }
    }
}

/// The first eight of sixteen reals in a register. The others are zeros where all are asked for.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Eight(__m256);

impl Sixteen for Eight {
    type Half = Self;

    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(v: f32) -> Self {
        Self(cast([v; 8]))
    }

    #[inline(always)]
    fn load(from: &[f32; PANEL_LEN]) -> Self {
        let [low, _]: [[f32; 8]; 2] = cast(*from);
        Self(cast(low))
    }

    #[inline(always)]
    fn load_halves(from: &[u16; PANEL_LEN]) -> Self {
        let [low, _]: [[u16; 8]; 2] = cast(*from);
        // SAFETY: the processor has F16C.
        Self(unsafe { _mm256_cvtph_ps(cast(low)) })
    }

    #[inline(never)]
    fn apart(work: &impl Apart, y: &mut [f32]) -> Option<()> {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn run(work: &impl Apart, y: &mut [f32]) -> Option<()> {
            work.run(y)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(work, y) }
    }

    #[inline(always)]
    fn totals(of: [Self; ROW_TILE]) -> [f32; ROW_TILE] {
        let zeros = cast([0.0f32; 8]);
        Reals::totals(of.map(|Self(of)| Reals([of, zeros])))
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; PANEL_LEN]) {
        *to = cast([self.0, cast([0.0f32; 8])]);
    }

    #[inline(always)]
    fn store_part(self, to: &mut [f32]) {
        match to.first_chunk_mut() {
            Some(to) => *to = cast::<_, [f32; 8]>(self.0),
            None => to.iter_mut().zip(cast::<_, [f32; 8]>(self.0)).for_each(|(to, real)| *to = real),
        }
    }

    #[inline(always)]
    fn add_product(self, x: Self, w: Self) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        Self(unsafe { _mm256_fmadd_ps(x.0, w.0, self.0) })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        Self(unsafe { _mm256_max_ps(other.0, self.0) })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        Self(unsafe { _mm256_min_ps(other.0, self.0) })
    }
}
