//! Four elements of sixteen outputs at once: dot products of bytes, of which those on one side have no sign.

use super::unsigned::{ABOVE, Unsigned};
use crate::arch::wide::blocks::Room;
use crate::arch::wide::{self, GROUP, Group, OnePixel, PanelTile, Panels, Products, Rounding};
use crate::arch::{Image, OutputsI8, PANEL_LEN};
use bytemuck::{AnyBitPattern, NoUninit, cast};
use core::marker::PhantomData;

/// How an instruction set multiplies bytes.
pub(in crate::arch) trait Dots: Sized {
    /// In registers: a sum for each of sixteen outputs, or four bytes.
    type Sixteen: AnyBitPattern + NoUninit;

    /// What becomes of sums that begin with the bias, and of those that do not.
    type Multipliers: Rounding<Sums = Self::Sixteen> + Copy;
    type Outputs: Rounding<Sums = Self::Sixteen>;

    /// See [`Panels::PIXELS`].
    const PIXELS: usize;

    /// See [`Panels::BLOCK`].
    const BLOCK: usize;

    /// [`Products::panels`], in tiles that keep the processor busy.
    fn tiles(products: &Products<'_, Unsigned>, y: &mut [i8]) -> Option<()>;

    /// [`tiles`](Self::tiles) in a function compiled for the instruction set.
    fn panels(products: &Products<'_, Unsigned>, y: &mut [i8]) -> Option<()>;

    /// [`PanelTile::sums`] in a function of its own, compiled for the instruction set.
    fn tile_sums<const P: usize, const N: usize>(
        tile: &PanelTile<'_, OfPixels<Self>, P, N>,
        start: &[Self::Sixteen; N],
        sums: &mut [[Self::Sixteen; P]; N],
    ) -> Option<()>;

    /// [`Products::pixel`] in a function compiled for the instruction set.
    fn pixel(products: &Products<'_, i8>, y: &mut [i8]) -> Option<()>;

    /// Four bytes for each output.
    fn in_all(four: [u8; GROUP]) -> Self::Sixteen;

    /// `a + b`, which wraps.
    fn add(a: Self::Sixteen, b: Self::Sixteen) -> Self::Sixteen;

    /// `a − b`, which wraps.
    fn sub(a: Self::Sixteen, b: Self::Sixteen) -> Self::Sixteen;

    /// Bits that one of both has.
    fn xor(a: Self::Sixteen, b: Self::Sixteen) -> Self::Sixteen;

    /// `sums[o] += Σ unsigned[o][i] · signed[o][i]`. Sums wrap.
    fn add_dots(sums: Self::Sixteen, unsigned: Self::Sixteen, signed: Self::Sixteen) -> Self::Sixteen;
}

/// The methods of [`Dots`] that are compiled with these features.
macro_rules! dots_with {
    ($features:literal) => {
        #[inline(always)]
        fn panels(products: &Products<'_, Unsigned>, y: &mut [i8]) -> Option<()> {
            #[target_feature(enable = $features)]
            fn run<D: Dots>(products: &Products<'_, Unsigned>, y: &mut [i8]) -> Option<()> {
                D::tiles(products, y)
            }
            // SAFETY: the processor has these features.
            unsafe { run::<Self>(products, y) }
        }

        #[inline(always)]
        fn tile_sums<const P: usize, const N: usize>(
            tile: &PanelTile<'_, OfPixels<Self>, P, N>,
            start: &[Self::Sixteen; N],
            sums: &mut [[Self::Sixteen; P]; N],
        ) -> Option<()> {
            #[target_feature(enable = $features)]
            #[inline(never)]
            fn run<D: Dots, const P: usize, const N: usize>(
                tile: &PanelTile<'_, OfPixels<D>, P, N>,
                start: &[D::Sixteen; N],
                sums: &mut [[D::Sixteen; P]; N],
            ) -> Option<()> {
                tile.sums(start, sums)
            }
            // SAFETY: the processor has these features.
            unsafe { run::<Self, P, N>(tile, start, sums) }
        }

        #[inline(always)]
        fn pixel(products: &Products<'_, i8>, y: &mut [i8]) -> Option<()> {
            #[target_feature(enable = $features)]
            fn run<D: Dots>(products: &Products<'_, i8>, y: &mut [i8]) -> Option<()> {
                products.pixel::<OfOnePixel<D>>(y)
            }
            // SAFETY: the processor has these features.
            unsafe { run::<Self>(products, y) }
        }
    };
}
pub(in crate::arch) use dots_with;

/// See [`Arch::conv_image_in_panels_i8`](crate::arch::Arch::conv_image_in_panels_i8).
#[inline(always)]
pub(in crate::arch) fn conv_image<D: Dots>(
    room: &mut Room<i16>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    match image.y {
        [1, 1, _] => wide::conv_pixel_in_panels::<OfOnePixel<D>, i16>(room, image, w, outputs, x, y),
        _ => wide::conv_image_in_panels::<OfPixels<D>, i16>(room, image, w, outputs, x, y),
    }
}

/// See [`Arch::row_in_panels_i8`](crate::arch::Arch::row_in_panels_i8).
#[inline(always)]
pub(in crate::arch) fn row<D: Dots>(w: &[i8], outputs: &OutputsI8<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    wide::row_in_panels::<OfOnePixel<D>>(w, outputs, x, y)
}

/// Of pixels, whose activations lose their signs.
pub(in crate::arch) struct OfPixels<D>(PhantomData<D>);

impl<D: Dots> Panels for OfPixels<D> {
    type X = Unsigned;
    type Sums = D::Sixteen;
    type Totals = D::Sixteen;
    type Outputs = D::Multipliers;

    const PIXELS: usize = D::PIXELS;

    const BLOCK: usize = D::BLOCK;

    #[inline(always)]
    fn panels(products: &Products<'_, Unsigned>, y: &mut [i8]) -> Option<()> {
        D::panels(products, y)
    }

    #[inline(always)]
    fn tile_sums<const P: usize, const N: usize>(
        tile: &PanelTile<'_, Self, P, N>,
        start: &[D::Sixteen; N],
        sums: &mut [[D::Sixteen; P]; N],
    ) -> Option<()> {
        D::tile_sums(tile, start, sums)
    }

    #[inline(always)]
    fn start(w: &[Group], bias: [i32; PANEL_LEN]) -> D::Sixteen {
        let (zero, above) = (D::in_all([0; GROUP]), D::in_all([ABOVE; GROUP]));
        let mut sums = [zero; 4];
        let (fours, rest) = w.as_chunks::<4>();
        for w in fours {
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = D::add_dots(*sum, above, cast(*w));
            }
        }
        let [a, b, c, d] = &mut sums;
        for w in rest {
            *a = D::add_dots(*a, above, cast(*w));
        }
        D::sub(cast(bias), D::add(D::add(*a, *b), D::add(*c, *d)))
    }

    #[inline(always)]
    fn add_products<const P: usize>(sums: &mut [D::Sixteen; P], w: &Group, x: [&[Unsigned; GROUP]; P]) {
        let w = cast(*w);
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = D::add_dots(*sum, D::in_all(cast(*x)), w);
        }
    }

    #[inline(always)]
    fn totals(sums: D::Sixteen) -> D::Sixteen {
        sums
    }
}

/// Of one pixel: it is its activations that keep their signs, and weights, of which each is multiplied once, that lose
/// them.
pub(in crate::arch) struct OfOnePixel<D>(PhantomData<D>);

impl<D: Dots> OnePixel for OfOnePixel<D> {
    type Sums = D::Sixteen;
    type Outputs = D::Outputs;

    #[inline(always)]
    fn pixel(products: &Products<'_, i8>, y: &mut [i8]) -> Option<()> {
        D::pixel(products, y)
    }

    #[inline(always)]
    fn start(x: &[[i8; GROUP]]) -> D::Sixteen {
        let above = D::in_all([ABOVE; GROUP]);
        let (sixteens, rest) = x.as_chunks::<PANEL_LEN>();
        let (mut last, mut sums) = ([[0; GROUP]; PANEL_LEN], D::in_all([0; GROUP]));
        last.iter_mut().zip(rest).for_each(|(to, x)| *to = *x);
        for x in sixteens.iter().chain([&last]) {
            sums = D::add_dots(sums, above, cast(*x));
        }
        let sums: [i32; PANEL_LEN] = cast(sums);
        D::in_all(cast(sums.into_iter().fold(0, i32::wrapping_sub)))
    }

    #[inline(always)]
    fn add(a: D::Sixteen, b: D::Sixteen) -> D::Sixteen {
        D::add(a, b)
    }

    #[inline(always)]
    fn add_row(sums: &mut D::Sixteen, w: &[Group], x: &[[i8; GROUP]]) {
        let above = D::in_all([ABOVE; GROUP]);
        // Of four groups, each to sums of its own: one need not wait for another.
        let mut parts = [D::in_all([0; GROUP]); 4];
        let ((w_fours, w_rest), (x_fours, x_rest)) = (w.as_chunks::<4>(), x.as_chunks::<4>());
        for (w, x) in w_fours.iter().zip(x_fours) {
            for ((part, w), x) in parts.iter_mut().zip(w).zip(x) {
                *part = D::add_dots(*part, D::xor(cast(*w), above), D::in_all(cast(*x)));
            }
        }
        let [a, b, c, d] = &mut parts;
        for (w, x) in w_rest.iter().zip(x_rest) {
            *a = D::add_dots(*a, D::xor(cast(*w), above), D::in_all(cast(*x)));
        }
        *sums = D::add(*sums, D::add(D::add(*a, *b), D::add(*c, *d)));
    }
}
