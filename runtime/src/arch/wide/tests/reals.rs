//! Loops over reals, with each instruction set, beside their formulas: tests of operators have too few outputs, channels
//! and pixels to reach all tiles.

use super::{Seed, image};
use crate::Isa;
use crate::arch::{Arch, Image, OutputsF32, PANEL_LEN};
use crate::weight::Weight;
use flatpack_format::ops::Clamp;
use proptest::prelude::*;
use std::vec::Vec;

const CLAMP: Clamp = Clamp { min: -20.0, max: 30.0 };

/// An image, weights, and what becomes of the sums.
struct Case<W> {
    image: Image,
    x: Vec<f32>,
    w: Vec<W>,
    scales: Vec<f32>,
    bias: Vec<f32>,
}

impl<W: Weight> Case<W> {
    /// With so many weights, each made of an integer of 8 bits.
    fn new(image: Image, weights: usize, one_scale: bool, seed: u32, weight: impl Fn(i8) -> W) -> Self {
        let mut seed = Seed(seed);
        let [_, _, outputs] = image.y;
        let reals = |seed: &mut Seed, len| seed.some(len).into_iter().map(|v| f32::from(v) / 32.0).collect();
        Self {
            image,
            x: reals(&mut seed, image.x.iter().product()),
            w: seed.some(weights).into_iter().map(weight).collect(),
            scales: reals(&mut seed, if one_scale { 1 } else { outputs }),
            bias: reals(&mut seed, outputs),
        }
    }

    fn outputs(&self) -> OutputsF32<'_> {
        let scales = if W::SCALED { &self.scales[..] } else { &[] };
        OutputsF32 { scales, bias: &self.bias, clamp: CLAMP }
    }

    /// Whether y is `clamp(bias + scale · Σ x · w)`, with the weights of output o at a tap for its channels from the
    /// first one of `of(o, tap)` on.
    fn meets(&self, y: &[f32], of: impl Fn(usize, usize) -> (core::ops::Range<usize>, Vec<f32>)) -> bool {
        let Image { x: [height, width, channels], y: [_, columns, count], taps: [kh, kw], .. } = self.image;
        let Image { stride, dilation, pad, .. } = self.image;
        y.iter().enumerate().all(|(at, y)| {
            let (row, column, o) = (at / count / columns, at / count % columns, at % count);
            let (mut sum, mut size) = (0f64, 0f64);
            for tap in 0..kh * kw {
                let h = (row * stride[0] + tap / kw * dilation[0]).checked_sub(pad[0]);
                let v = (column * stride[1] + tap % kw * dilation[1]).checked_sub(pad[1]);
                let (Some(h), Some(v)) = (h.filter(|h| *h < height), v.filter(|v| *v < width)) else {
                    continue;
                };
                let (of_channels, w) = of(o, tap);
                for (x, w) in self.x[(h * width + v) * channels..][of_channels].iter().zip(w) {
                    sum += f64::from(*x) * f64::from(w);
                    size += f64::from((*x * w).abs());
                }
            }
            let scale = match &self.scales[..] {
                _ if !W::SCALED => 1.0,
                [one] => f64::from(*one),
                scales => f64::from(scales[o]),
            };
            let want = f64::from(self.bias[o]) + scale * sum;
            let want = want.clamp(CLAMP.min.into(), CLAMP.max.into());
            (f64::from(*y) - want).abs()
                <= 1e-6 * (1.0 + (scale * size).abs() + f64::from(self.bias[o]).abs())
        })
    }
}

/// Rows of weights in layout `panel16`.
fn in_panels<W: Weight>(w: &[W], depth: usize) -> Vec<[W; PANEL_LEN]> {
    let outputs = w.len() / depth;
    let mut packed = std::vec![[W::zeroed(); PANEL_LEN]; outputs.div_ceil(PANEL_LEN) * depth];
    for (at, w) in w.iter().enumerate() {
        let (o, i) = (at / depth, at % depth);
        packed[o / PANEL_LEN * depth + i][o % PANEL_LEN] = *w;
    }
    packed
}

fn conv<A: Arch, W: Weight>(case: &Case<W>, w: &[[W; PANEL_LEN]]) -> Vec<f32> {
    let mut y = std::vec![f32::NAN; case.image.y.iter().product()];
    A::conv_image_f32(&case.image, w, &case.outputs(), &case.x, &mut y).unwrap();
    y
}

fn depthwise<A: Arch, W: Weight>(case: &Case<W>) -> Vec<f32> {
    let mut y = std::vec![f32::NAN; case.image.y.iter().product()];
    A::depthwise_image_f32(&case.image, &case.w, &case.outputs(), &case.x, &mut y).unwrap();
    y
}

/// Calls f with what each instruction set of this machine gives, called `A` in the expression.
macro_rules! each_set_meets {
    ($A:ident => $meets:expr) => {
        #[cfg(target_arch = "x86_64")]
        if Isa::Avx2.is_here() {
            type $A = crate::arch::Avx2;
            prop_assert!($meets, "avx2");
        } else {
            std::println!("this machine has no AVX2");
        }
        #[cfg(target_arch = "x86_64")]
        if Isa::Avx512.is_here() {
            type $A = crate::arch::Avx512;
            prop_assert!($meets, "avx512");
        } else {
            std::println!("this machine has no AVX-512");
        }
        #[cfg(target_arch = "aarch64")]
        if Isa::Neon.is_here() {
            type $A = crate::arch::Neon<crate::arch::Pairs>;
            prop_assert!($meets, "neon");
        }
    };
}

fn convolves<W: Weight>(
    image: Image,
    one: bool,
    seed: u32,
    weight: impl Fn(i8) -> W,
) -> Result<(), TestCaseError> {
    let ([_, _, channels], [kh, kw]) = (image.x, image.taps);
    let depth = kh * kw * channels;
    let case = Case::new(image, image.y[2] * depth, one, seed, weight);
    let w = in_panels(&case.w, depth);
    let of = |o: usize, tap: usize| {
        let w = &case.w[o * depth + tap * channels..][..channels];
        (0..channels, w.iter().map(|w| w.real()).collect())
    };
    each_set_meets!(A => case.meets(&conv::<A, W>(&case, &w), of));
    Ok(())
}

fn convolves_by_channel<W: Weight>(
    image: Image,
    one: bool,
    seed: u32,
    weight: impl Fn(i8) -> W,
) -> Result<(), TestCaseError> {
    let ([_, _, channels], [kh, kw]) = (image.x, image.taps);
    let case = Case::new(image, kh * kw * channels, one, seed, weight);
    let of = |o: usize, tap: usize| (o..o + 1, [case.w[tap * channels + o].real()].to_vec());
    each_set_meets!(A => case.meets(&depthwise::<A, W>(&case), of));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tiles_meet_the_formula(image in image(3, 2), one: bool, seed: u32) {
        convolves(image, one, seed, |w| f32::from(w) / 64.0)?;
        convolves(image, one, seed, |w| w)?;
    }

    #[test]
    fn products_of_matrices_meet_the_formula(
        m in 1usize..20, k in 1usize..65, n in 1usize..70, transposed: bool, seed: u32,
    ) {
        let mut seed = Seed(seed);
        let mut reals = |len| seed.some(len).into_iter().map(|v| f32::from(v) / 32.0).collect::<Vec<_>>();
        let (a, b) = (reals(m * k), reals(k * n));
        let element = |at: usize| {
            let of_b = |i: usize| if transposed { at % n * k + i } else { i * n + at % n };
            (0..k).map(|i| f64::from(a[at / n * k + i]) * f64::from(b[of_b(i)])).sum::<f64>()
        };
        let want: Vec<_> = (0..m * n).map(element).collect();
        each_set_meets!(A => {
            let mut y = std::vec![f32::NAN; m * n];
            A::matmul_f32(&a, &b, [m, k, n], transposed, &mut y).unwrap();
            y.iter().zip(&want).all(|(y, want)| (f64::from(*y) - want).abs() < 1e-5 * (k as f64))
        });
    }

    #[test]
    fn tiles_of_channels_meet_the_formula(image in image(3, 2), columns in 1usize..80, few in 0u32..6, one: bool, seed: u32) {
        // Up to sixteen channels, pixels side by side may fill registers.
        let channels = if few < 5 { 1 << few } else { image.x[2] };
        let wide = Image { x: [image.x[0], columns, channels], pad: [image.pad[0], 0], ..image };
        let reach = (image.taps[1] - 1) * image.dilation[1] + 1;
        prop_assume!(columns >= reach);
        let wide = Image { y: [image.y[0], (columns - reach) / image.stride[1] + 1, channels], ..wide };
        convolves_by_channel(wide, one, seed, |w| f32::from(w) / 64.0)?;
        convolves_by_channel(wide, one, seed, |w| w)?;
    }

    #[test]
    fn square_windows_of_channels_meet_the_formula(
        size in [1usize..24, 1..60], channels in 16usize..50, five: bool, stride in 1usize..3,
        pad in [0usize..5, 0..5], after in [0usize..5, 0..5], one: bool, seed: u32,
    ) {
        let window = if five { 5 } else { 3 };
        let [pad, after] = [pad, after].map(|pad| pad.map(|pad| pad.min(window - 1)));
        let seen = [0, 1].map(|axis| size[axis] + pad[axis] + after[axis]);
        prop_assume!(seen.iter().all(|seen| *seen >= window));
        let [rows, columns] = seen.map(|seen| (seen - window) / stride + 1);
        let image = Image {
            x: [size[0], size[1], channels], x_zero_point: 0, y: [rows, columns, channels],
            taps: [window; 2], stride: [stride; 2], dilation: [1; 2], pad,
        };
        convolves_by_channel(image, one, seed, |w| f32::from(w) / 64.0)?;
        convolves_by_channel(image, one, seed, |w| w)?;
    }
}
