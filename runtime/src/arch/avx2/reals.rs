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
    type Integers = [__m256i; 2];

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
    fn sub(self, other: Self) -> Self {
        let (Self([a0, a1]), Self([b0, b1])) = (self, other);
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { _mm256_sub_ps(a0, b0) };
        // SAFETY: as above.
        Self([low, unsafe { _mm256_sub_ps(a1, b1) }])
    }

    #[inline(always)]
    fn or_below_zero(self, below: Self, other: Self) -> Self {
        let (Self([a0, a1]), Self([b0, b1]), Self([of0, of1])) = (self, below, other);
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { _mm256_blendv_ps(a0, b0, of0) };
        // SAFETY: as above.
        Self([low, unsafe { _mm256_blendv_ps(a1, b1, of1) }])
    }

    #[inline(always)]
    fn nearest(self) -> [__m256i; 2] {
        let Self([low, high]) = self;
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { _mm256_cvtps_epi32(low) };
        // SAFETY: as above.
        [low, unsafe { _mm256_cvtps_epi32(high) }]
    }

    #[inline(always)]
    fn lower_halves([a0, a1]: [__m256i; 2], [b0, b1]: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: the processor has AVX2 and FMA.
        let low = unsafe { _mm256_min_epu16(a0, b0) };
        // SAFETY: as above.
        [low, unsafe { _mm256_min_epu16(a1, b1) }]
    }

    #[inline(always)]
    fn are_above(lower_halves: [__m256i; 2], most: u16) -> bool {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn are_above([low, high]: [__m256i; 2], most: __m256i) -> bool {
            let least = _mm256_min_epu16(low, high);
            let others = _mm256_cmpeq_epi16(_mm256_min_epu16(least, most), least);
            _mm256_testz_si256(others, _mm256_set1_epi32(0xffff)) == 1
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { are_above(lower_halves, cast([most; 16])) }
    }

    #[inline(always)]
    fn upper_halves(of: [__m256i; 2], min: i8, max: i8) -> [i8; 16] {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn upper_halves([low, high]: [__m256i; 2], min: __m128i, max: __m128i) -> __m128i {
            let (low, high) = (_mm256_srai_epi32::<16>(low), _mm256_srai_epi32::<16>(high));
            packed([low, high], min, max)
        }
        // SAFETY: the processor has AVX2 and FMA.
        cast(unsafe { upper_halves(of, cast([min; 16]), cast([max; 16])) })
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

/// Integers within bounds of bytes.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn packed([low, high]: [__m256i; 2], min: __m128i, max: __m128i) -> __m128i {
    // Packing joins the lower halves of both, then the upper halves.
    let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
    let bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
    _mm_min_epi8(_mm_max_epi8(bytes, min), max)
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
