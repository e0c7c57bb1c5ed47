//! What the instruction sets of x86-64 have in common.

pub(super) mod add_i8;
pub(super) mod binary_i8;
pub(super) mod dots;
pub(super) mod folds;
pub(super) mod mul_i8;
pub(super) mod requantize;
pub(super) mod unsigned;

/// The methods of [`Arch`](super::Arch) that [`wide`](super::wide) has loops for, compiled with these features: over
/// reals in the registers of a set, and with its loops for convolutions and sums of integers.
///
/// Only a function can have features, and what is not inlined into it has none: each method has a function within it.
macro_rules! wide_loops {
    ($features:literal, $Reals:ty, $conv_in_panels_i8:path, $depthwise_image_i8:path, $Outputs:ty, $lookup:path) => {
        type Scratch = Room<i16>;

        const WIDE_TILES: bool = true;

        wide_loops! { $features =>
            fn gemm_rows_f32[const P: usize, W: Weight](
                patch: &Patch<'_, P>,
                w: &[W],
                depth: usize,
                y: &mut [&mut [f32]; P],
            ) = wide::gemm_rows::<$Reals, W, P>(patch, w, depth, y);

            fn gates_f32[W: Weight, const T: usize, const G: usize](
                x: &[f32],
                panel: &Panel<'_, W>,
                gates: [usize; G],
                _first: usize,
                sums: &mut [[f32; T]; G],
            ) = wide::gates::<$Reals, W, T, G>(x, panel, gates, sums);

            fn gate_rows_f32[W: Weight, const P: usize](
                x: [&[f32]; P],
                panel: &Panel<'_, W>,
                gate: usize,
                sums: &mut [[f32; PANEL_LEN]; P],
            ) = wide::gate_rows::<$Reals, W, P>(x, panel, gate, sums);

            fn conv_image_f32[W: Weight](
                image: &Image,
                w: &[[W; PANEL_LEN]],
                outputs: &OutputsF32<'_>,
                x: &[f32],
                y: &mut [f32],
            ) = wide::conv_image::<$Reals, W>(image, w, outputs, x, y);

            fn transposed_image_f32[W: Weight](
                image: &TransposedImage,
                w: &[[W; PANEL_LEN]],
                outputs: &OutputsF32<'_>,
                x: &[f32],
                y: &mut [f32],
            ) = wide::transposed_image::<$Reals, W>(image, w, outputs, x, y);

            fn depthwise_image_f32[W: Weight](
                image: &Image,
                w: &[W],
                outputs: &OutputsF32<'_>,
                x: &[f32],
                y: &mut [f32],
            ) = wide::depthwise_image::<$Reals, W>(image, w, outputs, x, y);

            fn matmul_f32[](
                a: &[f32],
                b: &[f32],
                sizes: [usize; 3],
                transposed: bool,
                y: &mut [f32],
            ) = wide::matmul::<$Reals>(a, b, sizes, transposed, y);

            fn conv_image_i8[](
                room: &mut Room<i16>,
                image: &Image,
                w: &[i8],
                outputs: &OutputsI8<'_>,
                x: &[i8],
                y: &mut [i8],
            ) = $crate::arch::avx2::conv_rows_i8(room, image, w, outputs, x, y);

            fn conv_image_in_panels_i8[](
                room: &mut Room<i16>,
                image: &Image,
                w: &[i8],
                outputs: &OutputsI8<'_>,
                x: &[i8],
                y: &mut [i8],
            ) = $conv_in_panels_i8(room, image, w, outputs, x, y);

            fn depthwise_image_i8[](
                room: &mut Room<i16>,
                image: &Image,
                w: &[i8],
                outputs: &OutputsI8<'_>,
                x: &[i8],
                y: &mut [i8],
            ) = $depthwise_image_i8(room, image, w, outputs, x, y);
        }

        fn all_plain(multipliers: &[Multiplier]) -> bool {
            #[target_feature(enable = $features)]
            fn run(multipliers: &[Multiplier]) -> bool {
                $crate::arch::x86::requantize::all_plain(multipliers)
            }
            // SAFETY: the processor has these features.
            unsafe { run(multipliers) }
        }

        fn add_runs_i8<const MINUS: bool>(params: &AddI8Params) -> Option<impl RunsI8> {
            let sums = $crate::arch::x86::add_i8::Sums::<$Outputs, MINUS>::of(params)?;
            Some($crate::arch::x86::binary_i8::runs::<$Reals>(sums))
        }

        fn mul_runs_i8(params: &MulI8Params) -> Option<impl RunsI8> {
            let products = $crate::arch::x86::mul_i8::Products::of(params);
            Some($crate::arch::x86::binary_i8::runs::<$Reals>(products))
        }

        #[inline(always)]
        fn maxima_i8(a: &mut [i8; PANEL_LEN], b: &[i8; PANEL_LEN]) {
            // SAFETY: the processor has these features.
            *a = unsafe { $crate::arch::x86::folds::maxima_i8(*a, *b) };
        }

        #[inline(always)]
        fn maxima_f32(a: &mut [f32; PANEL_LEN], b: &[f32; PANEL_LEN]) {
            // SAFETY: the processor has these features.
            *a = unsafe { $crate::arch::x86::folds::maxima_f32(*a, *b) };
        }

        #[inline(always)]
        fn sums_i8(sums: &mut [i32; PANEL_LEN], x: &[i8; PANEL_LEN]) {
            // SAFETY: the processor has these features.
            *sums = unsafe { $crate::arch::x86::folds::sums_i8(*sums, *x) };
        }

        #[inline(always)]
        fn sums_f32(sums: &mut [f32; PANEL_LEN], x: &[f32; PANEL_LEN]) {
            // SAFETY: the processor has these features.
            *sums = unsafe { $crate::arch::x86::folds::sums_f32(*sums, *x) };
        }

        fn lookup(table: &[u8; 256], x: Option<&[u8]>, y: &mut [u8]) {
            if let Some(x) = x {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = *x);
            }
            // SAFETY: the processor has these features.
            unsafe { $lookup(table, y) }
        }

        #[inline(always)]
        fn exp_of_negative_f32(x: f32) -> f32 {
            wide::exp_of_negative(x)
        }

        #[inline(always)]
        fn logistic_f32(x: f32) -> f32 {
            wide::logistic(x)
        }

        #[inline(always)]
        fn tanh_f32(x: f32) -> f32 {
            wide::tanh(x)
        }

        #[inline(always)]
        fn erf_f32(x: f32) -> f32 {
            wide::erf(x)
        }

        #[inline(always)]
        fn vectorize<L: Loops>(loops: L) -> L::Output {
            #[target_feature(enable = $features)]
            fn run<A: Arch, L: Loops>(loops: L) -> L::Output {
                loops.run::<A>()
            }
            // SAFETY: the processor has these features.
            unsafe { run::<Self, L>(loops) }
        }
    };
    ($features:literal => $(
        fn $name:ident[$($generics:tt)*]($($argument:ident: $Type:ty),* $(,)?) = $loops:expr;
    )*) => { $(
        fn $name<$($generics)*>($($argument: $Type),*) -> Option<()> {
            #[target_feature(enable = $features)]
            fn run<$($generics)*>($($argument: $Type),*) -> Option<()> {
                $loops
            }
            // SAFETY: the processor has these features.
            unsafe { run($($argument),*) }
        }
    )* };
}
pub(super) use wide_loops;
