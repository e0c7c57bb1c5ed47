//! Loops over integers, with each instruction set, beside their formulas.

mod reals;

use crate::arch::{Arch, Image, OutputsI8, PANEL_LEN, Scratch};
use crate::{Isa, fixed};
#[cfg(target_arch = "x86_64")]
use flatpack_format::ops::mul_i8::MulI8Params;
use flatpack_format::ops::{Multiplier, OutputI8, add_i8::AddI8Params};
use proptest::prelude::*;
use std::array::from_fn;
use std::vec::Vec;

/// Integers that look random.
struct Seed(u32);

impl Seed {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    fn some(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| (self.next() >> 16) as i8).collect()
    }
}

#[test]
fn tiles_have_few_pixels_more_than_there_are() {
    for (pixels, want) in [(49, 7), (64, 6), (36, 6), (42, 7), (7, 7), (6, 6), (5, 5), (1, 1), (0, 0)] {
        assert_eq!(super::tile_of(pixels, &[7, 6]), want, "{pixels}");
    }
    // 18 tiles of 7 take less than 25 of 5, which have one pixel less.
    for (pixels, want) in [(125, 7), (25, 5), (49, 7)] {
        assert_eq!(super::tile_of(pixels, &[7, 6, 5]), want, "{pixels}");
    }
}

/// A convolution of integers, and what it gives.
struct Case {
    image: Image,
    x: Vec<i8>,
    w: Vec<i8>,
    bias: Vec<i32>,
    requant: Vec<Multiplier>,
    y: OutputI8,
}

impl Case {
    /// With weights of so many elements.
    fn new(image: Image, weights: usize, one_multiplier: bool, seed: u32) -> Self {
        let mut seed = Seed(seed);
        let [_, _, outputs] = image.y;
        let multipliers = if one_multiplier { 1 } else { outputs };
        Self {
            image,
            x: seed.some(image.x.iter().product()),
            w: seed.some(weights),
            bias: (0..outputs).map(|_| (seed.next() >> 8) as i32 - (1 << 15)).collect(),
            requant: (0..multipliers)
                .map(|_| Multiplier { mantissa: (seed.next() | 1 << 30) as i32, shift: -10 })
                .collect(),
            y: OutputI8 { zero_point: 3, min: -100, max: 120 },
        }
    }

    fn outputs(&self) -> OutputsI8<'_> {
        let Self { bias, requant, y, .. } = self;
        OutputsI8 { bias, requant, plain: Multiplier::all_plain(requant), y: *y }
    }

    /// y, where output o of a pixel is the sum of `products(o, tap, x)` over the taps, with what the tap sees of each
    /// channel.
    fn formula(&self, products: impl Fn(usize, usize, &[i32]) -> i32) -> Vec<i8> {
        let Image { x: [height, width, channels], y: [rows, columns, count], .. } = self.image;
        let Image { taps: [kh, kw], stride, dilation, pad, x_zero_point, .. } = self.image;
        let element = |at: usize| {
            let (row, column, o) = (at / count / columns, at / count % columns, at % count);
            let mut sum = self.bias[o];
            for tap in 0..kh * kw {
                let h =
                    (row * stride[0] + tap / kw * dilation[0]).checked_sub(pad[0]).filter(|h| *h < height);
                let v =
                    (column * stride[1] + tap % kw * dilation[1]).checked_sub(pad[1]).filter(|v| *v < width);
                let seen: Vec<_> = (0..channels)
                    .map(|c| {
                        h.zip(v).map_or(x_zero_point, |(h, v)| self.x[(h * width + v) * channels + c].into())
                    })
                    .collect();
                sum += products(o, tap, &seen);
            }
            fixed::requantize(sum, fixed::of_output(&self.requant, o).unwrap(), &self.outputs().y)
        };
        (0..rows * columns * count).map(element).collect()
    }
}

/// Rows of weights in layout `panel16x4`.
fn in_panels(w: &[i8], depth: usize) -> Vec<i8> {
    let panel = depth.next_multiple_of(4) * PANEL_LEN;
    let outputs = w.len() / depth;
    let mut packed = std::vec![0; outputs.div_ceil(PANEL_LEN) * panel];
    for (at, w) in w.iter().enumerate() {
        let (o, i) = (at / depth, at % depth);
        packed[o / PANEL_LEN * panel + i / 4 * 4 * PANEL_LEN + o % PANEL_LEN * 4 + i % 4] = *w;
    }
    packed
}

fn conv_in_panels<A: Arch>(case: &Case, w: &[i8]) -> Vec<i8> {
    let mut y = std::vec![0; case.image.y.iter().product()];
    A::conv_image_in_panels_i8(&mut A::Scratch::new(), &case.image, w, &case.outputs(), &case.x, &mut y)
        .unwrap();
    y
}

fn depthwise<A: Arch>(case: &Case) -> Vec<i8> {
    let mut y = std::vec![0; case.image.y.iter().product()];
    A::depthwise_image_i8(&mut A::Scratch::new(), &case.image, &case.w, &case.outputs(), &case.x, &mut y)
        .unwrap();
    y
}

/// Compares what each instruction set of this machine gives, called `A` in the expression.
macro_rules! each_set_gives {
    ($want:expr, $A:ident => $found:expr) => {
        #[cfg(target_arch = "x86_64")]
        if Isa::Avx2.is_here() {
            type $A = crate::arch::Avx2;
            prop_assert_eq!(&$found, &$want);
        } else {
            std::println!("this machine has no AVX2");
        }
        #[cfg(target_arch = "x86_64")]
        if Isa::Avx2Vnni.is_here() {
            type $A = crate::arch::Avx2Vnni;
            prop_assert_eq!(&$found, &$want);
        } else {
            std::println!("this machine has no AVX-VNNI");
        }
        // Another encoding of its dot products: what its loops compute is tested, not that encoding.
        #[cfg(target_arch = "x86_64")]
        if Isa::Avx512Vnni.is_here() {
            type $A = crate::arch::Avx2VnniOfAvx512;
            prop_assert_eq!(&$found, &$want);
        }
        #[cfg(target_arch = "x86_64")]
        if Isa::Avx512.is_here() {
            type $A = crate::arch::Avx512;
            prop_assert_eq!(&$found, &$want);
        } else {
            std::println!("this machine has no AVX-512");
        }
        #[cfg(target_arch = "x86_64")]
        if Isa::Avx512Vnni.is_here() {
            type $A = crate::arch::Avx512Vnni;
            prop_assert_eq!(&$found, &$want);
        } else {
            std::println!("this machine has no AVX-512 with VNNI");
        }
        #[cfg(target_arch = "aarch64")]
        {
            type $A = crate::arch::Neon<crate::arch::Pairs>;
            prop_assert_eq!(&$found, &$want);
        }
        #[cfg(target_arch = "aarch64")]
        if Isa::NeonDots.is_here() {
            type $A = crate::arch::Neon<crate::arch::Dots>;
            prop_assert_eq!(&$found, &$want);
        }
        #[cfg(target_arch = "aarch64")]
        if Isa::NeonMatrices.is_here() {
            type $A = crate::arch::Neon<crate::arch::Matrices>;
            prop_assert_eq!(&$found, &$want);
        }
    };
}

prop_compose! {
    /// An image whose windows begin and end beside it.
    fn image(most_taps: usize, dilations: usize)(
        size in [1usize..6, 1..12], channels in 1usize..41, outputs in 1usize..35,
        taps in [1..=most_taps, 1..=most_taps], stride in [1usize..3, 1..3], dilation in [1..=dilations, 1..=dilations],
        zero in -128i32..128,
    ) -> Image {
        let reach = |axis: usize| (taps[axis] - 1) * dilation[axis] + 1;
        let pad = [0, 1].map(|axis| reach(axis) / 2);
        let positions = |axis: usize| {
            (size[axis] + 2 * pad[axis]).checked_sub(reach(axis)).map_or(0, |rest| rest / stride[axis] + 1)
        };
        Image {
            x: [size[0], size[1], channels], x_zero_point: zero, y: [positions(0), positions(1), outputs],
            taps, stride, dilation, pad,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tiles_of_panels_meet_the_formula(image in image(3, 3), dilated: bool, one: bool, seed: u32) {
        let mut image = image;
        if dilated {
            // Taps that are not side by side are of whole groups.
            image.x[2] = image.x[2].next_multiple_of(4);
        } else {
            let reach = |axis: usize| (image.taps[axis] - 1) * image.dilation[axis] + 1;
            let less = [0, 1].map(|axis| reach(axis) / 2 - image.taps[axis] / 2);
            // The same positions, of a window without spaces.
            image.pad = [0, 1].map(|axis| image.pad[axis] - less[axis]);
            image.dilation = [1; 2];
        }
        let depth = image.taps[0] * image.taps[1] * image.x[2];
        let case = Case::new(image, image.y[2] * depth, one, seed);
        let want = case.formula(|o, tap, seen| {
            let w = &case.w[o * depth + tap * seen.len()..];
            seen.iter().zip(w).map(|(x, w)| x * i32::from(*w)).sum()
        });
        let w = in_panels(&case.w, depth);
        each_set_gives!(want, A => conv_in_panels::<A>(&case, &w));
    }

    #[test]
    fn windows_of_one_tap_meet_the_formula(
        image in image(1, 1), stride in [1usize..4, 1..4], pad in 0usize..2, one: bool, seed: u32,
    ) {
        let [height, width, channels] = image.x;
        let positions = |size: usize, stride: usize| (size + 2 * pad - 1) / stride + 1;
        let y = [positions(height, stride[0]), positions(width, stride[1]), image.y[2]];
        let case = Case::new(Image { y, stride, pad: [pad; 2], ..image }, y[2] * channels, one, seed);
        let want = case.formula(|o, _, seen| {
            seen.iter().zip(&case.w[o * channels..]).map(|(x, w)| x * i32::from(*w)).sum()
        });
        let w = in_panels(&case.w, channels);
        each_set_gives!(want, A => conv_in_panels::<A>(&case, &w));
    }

    #[test]
    fn depthwise_tiles_meet_the_formula(image in image(6, 2), nine: bool, one: bool, seed: u32) {
        let channels = image.x[2];
        // Nine taps have a loop of their own.
        let [kh, kw] = if nine { [3; 2] } else { image.taps };
        let image = Image { y: [image.y[0], image.y[1], channels], taps: [kh, kw], ..image };
        let case = Case::new(image, kh * kw * channels, one, seed);
        let want = case.formula(|o, tap, seen| seen[o] * i32::from(case.w[tap * channels + o]));
        each_set_gives!(want, A => depthwise::<A>(&case));
    }

    /// Of one pixel that sees zeros: sums are what they begin with.
    #[test]
    fn sums_become_the_published_bytes(
        sums: [i32; PANEL_LEN], places in 0u32..31, mantissas: [i32; PANEL_LEN], shifts: [u8; PANEL_LEN],
        zero_point in -128i32..128, bounds in (-128i32..128, -128i32..128),
    ) {
        let image = Image::points(1, [4, PANEL_LEN], 0);
        let mut case = Case::new(image, 4 * PANEL_LEN, false, 0);
        case.x.fill(0);
        case.y = OutputI8 { zero_point, min: bounds.0.min(bounds.1), max: bounds.0.max(bounds.1) };
        // Halves are met by mantissas of few bits; a shift of few places shows the last of them. The last two are plain.
        for (kept, set, least, most) in [
            (i32::MAX, 0, -31, 31),
            (0x7000_0000, 0, -31, 31),
            (0x7000_0000, 0, -3, 31),
            (i32::MAX, 1 << 30, -21, 0),
            (0x7000_0000, 1 << 30, -3, 0),
        ] {
            case.requant = mantissas.iter().zip(shifts).map(|(mantissa, shift)| {
                Multiplier { mantissa: mantissa & kept | set, shift: least + i32::from(shift) % (most - least) }
            }).collect();
            prop_assert_eq!(case.outputs().plain, set != 0);
            // Products next to half way between two integers, and next to what the first rounding makes such.
            let near = |part: f64| {
                let mut near = sums;
                for (sum, by) in near.iter_mut().zip(&case.requant) {
                    let m = f64::from(by.mantissa) * 2f64.powi(by.shift - 31);
                    let half_way = f64::from(*sum % 200) + 0.5 - part * 2f64.powi(by.shift - 1);
                    *sum = ((half_way / m) as i32).saturating_add(*sum >> 30);
                }
                near
            };
            let extremes = [[i32::MIN; PANEL_LEN], [i32::MAX; PANEL_LEN]];
            for sums in [sums, sums.map(|sum| sum >> places), near(0.0), near(1.0), near(-1.0)].into_iter().chain(extremes) {
                case.bias = sums.to_vec();
                let want = case.formula(|_, _, _| 0);
                each_set_gives!(want, A => conv_in_panels::<A>(&case, &case.w));
            }
        }
    }
}

proptest! {
    // A sum has 20 places more than y: of operands that nearly cancel each other out, y has the last places.
    #[test]
    fn operands_come_to_the_common_scale_bit_by_bit(
        x: [i8; 37], zero_point in -128i32..128, mantissa in 1i32 << 30..i32::MAX - 64, apart in 0..64, places in 0i32..32,
    ) {
        // Halves are met by mantissas of few bits.
        for mantissa in [mantissa, mantissa & 0x7000_0000] {
            let at_scale = |mantissa: i32| {
                let by = Multiplier { mantissa, shift: -places };
                (by, x.map(|x| fixed::multiply((i32::from(x) - zero_point) << 20, by)))
            };
            let ((a_multiplier, of_a), (b_multiplier, of_b)) = (at_scale(mantissa), at_scale(mantissa + apart));
            let params = AddI8Params {
                a_zero_point: zero_point,
                b_zero_point: zero_point,
                a_multiplier,
                b_multiplier,
                multiplier: Multiplier { mantissa: 1 << 30, shift: 1 },
                y: OutputI8 { zero_point: 0, min: -128, max: 127 },
            };
            let want: Vec<_> = of_a.iter().zip(of_b).map(|(a, b)| (a - b).clamp(-128, 127) as i8).collect();
            each_set_gives!(want, A => difference::<A>(&params, &x));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn sums_of_all_pairs_of_bytes_meet_the_formula(
        mantissas in [1i32 << 30..=i32::MAX, 1 << 30..=i32::MAX, 1 << 30..=i32::MAX], shifts in [-3..=0, -3..=0, -20..=-17],
        zero_points in [-128i32..128, -128..128, -128..128],
    ) {
        let [a_multiplier, b_multiplier, multiplier] =
            from_fn(|i| Multiplier { mantissa: mantissas[i], shift: shifts[i] });
        let [a_zero_point, b_zero_point, zero_point] = zero_points;
        let y = OutputI8 { zero_point, min: -128, max: 127 };
        let add = AddI8Params { a_zero_point, b_zero_point, a_multiplier, b_multiplier, multiplier, y };
        let of_bytes = [(a_zero_point, a_multiplier), (b_zero_point, b_multiplier)]
            .map(|(zero, by)| (-128..128).map(|x| fixed::multiply((x - zero) << 20, by)).collect::<Vec<_>>());
        let bytes: Vec<_> = (-128..=127).collect();
        for a in -128..=127 {
            let of_a = of_bytes[0][usize::from((a as u8).wrapping_add(128))];
            let want: Vec<_> = of_bytes[1].iter().map(|b| fixed::requantize(of_a + b, multiplier, &y)).collect();
            each_set_gives!(want, A => {
                let mut y = bytes.clone();
                A::add_runs_i8::<false>(&add).unwrap()(Some(&[a; 256]), None, &mut y).unwrap();
                y
            });
        }
    }
}

#[cfg(target_arch = "x86_64")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn products_of_all_pairs_of_bytes_meet_the_formula(
        mantissa in 1i32 << 30..=i32::MAX, shift in -9..=-6, zero_points in [-128i32..128, -128..128, -128..128],
    ) {
        let [a_zero_point, b_zero_point, zero_point] = zero_points;
        let (multiplier, y) = (Multiplier { mantissa, shift }, OutputI8 { zero_point, min: -128, max: 127 });
        let params = MulI8Params { a_zero_point, b_zero_point, multiplier, y };
        let bytes: Vec<_> = (-128..=127).collect();
        for a in -128..=127 {
            let product = |b: &i8| (i32::from(a) - a_zero_point) * (i32::from(*b) - b_zero_point);
            let want: Vec<_> = bytes.iter().map(|b| fixed::requantize(product(b), multiplier, &y)).collect();
            each_set_gives!(want, A => {
                let mut y = bytes.clone();
                A::mul_runs_i8(&params).unwrap()(Some(&[a; 256]), None, &mut y).unwrap();
                y
            });
        }
    }
}

fn difference<A: Arch>(params: &AddI8Params, x: &[i8]) -> Vec<i8> {
    let mut y = std::vec![0; x.len()];
    A::add_runs_i8::<true>(params).unwrap()(Some(x), Some(x), &mut y).unwrap();
    y
}
