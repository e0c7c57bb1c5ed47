//! Loops of machines with wide vectors, over whole images: gateways.
//!
//! They are written once, over [`Sixteen`] reals in registers, and compiled for each instruction set. Products are
//! added with one rounding, so that results differ from the portable loops' by rounding alone.

#[allow(unsafe_code)]
pub(super) mod blocks;
mod conv;
mod depthwise;
mod depthwise_i8;
mod depthwise_rows;
mod functions;
mod gates;
mod matmul;
mod panels;
#[allow(unsafe_code)]
mod pixels;
mod rectangles;
mod rows;
#[cfg(test)]
mod tests;

pub(super) use conv::{conv_image, transposed_image};
pub(super) use depthwise::depthwise_image;
#[cfg(target_arch = "x86_64")]
pub(super) use depthwise_i8::tiles;
pub(super) use depthwise_i8::{TwoTaps, depthwise_image_i8};
pub(super) use functions::{erf, exp_of_negative, logistic, tanh};
pub(super) use gates::{gate_rows, gates};
pub(super) use matmul::matmul;
pub(super) use panels::{GROUP, Group, Panels, Products, Tile as PanelTile, conv_image_in_panels};
#[cfg(target_arch = "x86_64")]
pub(super) use panels::{OnePixel, conv_pixel_in_panels, row_in_panels};
use pixels::Sixteens;
pub(super) use rows::gemm_rows;

use super::{OutputsI8, PANEL_LEN, ROW_TILE};
use crate::math::half;
use crate::weight::Weight;
use bytemuck::Pod;
use flatpack_format::ops::Multiplier;

/// Sixteen reals in registers: the outputs of a panel, or channels.
pub(super) trait Sixteen: Copy {
    /// The first eight of sixteen, where that is less work; the others are anything.
    type Half: Sixteen;

    /// So many of them fit into the registers.
    const REGISTERS: usize;

    /// `v` in all places.
    fn splat(v: f32) -> Self;

    /// From memory.
    fn load(from: &[f32; PANEL_LEN]) -> Self;

    /// Weights from memory, as they are multiplied.
    #[inline(always)]
    fn weights<W: Weight>(from: &[W; PANEL_LEN]) -> Self {
        match W::halves(from) {
            Some(bits) => Self::load_halves(bits),
            None => Self::load(&from.map(W::real)),
        }
    }

    /// Of binary16, from memory.
    #[inline(always)]
    fn load_halves(from: &[u16; PANEL_LEN]) -> Self {
        Self::load(&from.map(half))
    }

    /// From memory with fewer elements; the others are zero.
    #[inline(always)]
    fn load_part(from: &[f32]) -> Self {
        Self::load(&sixteen_of(from, 0))
    }

    /// [`Apart::run`] in a function of its own, compiled for the instruction set: what it works with stays in registers.
    fn apart(work: &impl Apart, y: &mut [f32]) -> Option<()>;

    /// The sum of the elements of each.
    fn totals(of: [Self; ROW_TILE]) -> [f32; ROW_TILE];

    /// To memory.
    fn store(self, to: &mut [f32; PANEL_LEN]);

    /// To memory of fewer elements.
    #[inline(always)]
    fn store_part(self, to: &mut [f32]) {
        put_reals(self, to);
    }

    /// `self + x · w`, rounded once.
    fn add_product(self, x: Self, w: Self) -> Self;

    /// The larger of the two; `self` where one is a NaN.
    fn max(self, other: Self) -> Self;

    /// The smaller of the two; `self` where one is a NaN.
    fn min(self, other: Self) -> Self;
}

/// Work of a loop, enough to be a function by itself.
pub(super) trait Apart {
    /// Does it: what it gives is put into y. `None` where a tap lies outside of x, or y is too short.
    fn run(&self, y: &mut [f32]) -> Option<()>;
}

/// Where sixteen elements of each of some pixels go, or the first ones of them.
// A closure would be compiled without the instruction set.
pub(super) struct Places<'y> {
    /// From the first pixel's place on, as far as those of pixels go that are computed later.
    pub(super) y: &'y mut [i8],
    /// From a pixel's place to the next one's.
    pub(super) stride: usize,
    /// Elements of a pixel, up to sixteen.
    pub(super) len: usize,
}

impl Places<'_> {
    /// Whether sixteen elements can be put for each of `P` pixels, one after the other: what is too much goes where others
    /// follow.
    #[inline(always)]
    pub(super) fn take_sixteen<const P: usize>(&self) -> bool {
        self.len == PANEL_LEN
            || self.stride == self.len && self.y.len() >= P.saturating_sub(1) * self.stride + PANEL_LEN
    }

    /// Where these are, or else some.
    #[inline(always)]
    pub(super) fn sixteens<'p, const P: usize>(
        &'p mut self,
        some: &'p mut [[i8; PANEL_LEN]; P],
    ) -> Option<Sixteens<'p, P>> {
        match self.take_sixteen::<P>() {
            true => Sixteens::of(self.y, self.stride),
            false => Sixteens::of(some.as_flattened_mut(), PANEL_LEN),
        }
    }

    /// The elements of all pixels.
    #[inline(never)]
    pub(super) fn put(&mut self, elements: &[[i8; PANEL_LEN]]) -> Option<()> {
        for (p, elements) in elements.iter().enumerate() {
            put(*elements, self.y.get_mut(p * self.stride..)?.get_mut(..self.len)?);
        }
        Some(())
    }
}

/// What becomes of the sums of sixteen outputs, as an instruction set rounds them.
pub(super) trait Rounding {
    /// Sums in registers.
    type Sums;

    /// The outputs from `first` on; past their end nothing.
    fn of(outputs: &OutputsI8<'_>, first: usize) -> Self;

    /// Sums of `P` pixels as elements of y, bit by bit as [`fixed::requantize`](crate::fixed::requantize) rounds.
    fn put<const P: usize>(&self, sums: &[Self::Sums; P], places: Places<'_>) -> Option<()>;
}

/// How many pixels a tile has, of one of these numbers: the first with which tiles take the least, each as much as half a
/// pixel more than it has. All that there are, if those are fewer.
#[inline(always)]
pub(super) fn tile_of(pixels: usize, sizes: &[usize]) -> usize {
    let sizes = sizes.iter().copied().filter(|size| *size <= pixels);
    sizes.min_by_key(|size| pixels.div_ceil(*size) * (2 * size + 1)).unwrap_or(pixels)
}

/// Calls a method for tiles of so many pixels, or rows, and as many panels as registers have room for: `METHOD::<V, pixels,
/// panels>`.
macro_rules! in_tiles {
    ($V:ident, $pixels:expr => $of:ident.$method:ident($y:expr)) => {
        match ($V::REGISTERS, $pixels) {
            (..32, 1) => $of.$method::<$V, 1, 4>($y),
            (..32, 2) => $of.$method::<$V, 2, 2>($y),
            (..32, 3) => $of.$method::<$V, 3, 2>($y),
            (..32, 4) => $of.$method::<$V, 4, 1>($y),
            (..32, 5) => $of.$method::<$V, 5, 1>($y),
            (..32, _) => $of.$method::<$V, 6, 1>($y),
            (_, 1) => $of.$method::<$V, 1, 4>($y),
            (_, 2) => $of.$method::<$V, 2, 4>($y),
            (_, 3) => $of.$method::<$V, 3, 4>($y),
            (_, 4) => $of.$method::<$V, 4, 2>($y),
            (_, 5) => $of.$method::<$V, 5, 2>($y),
            (_, 6) => $of.$method::<$V, 6, 2>($y),
            _ => $of.$method::<$V, 7, 2>($y),
        }
    };
}
use in_tiles;

/// The multipliers of sixteen outputs from `first` on: one for all, or one for each; past their end nothing.
#[inline(always)]
pub(super) fn multipliers(requant: &[Multiplier], first: usize) -> [Multiplier; PANEL_LEN] {
    if let [one] = requant { [*one; PANEL_LEN] } else { sixteen_of(requant, first) }
}

/// Sixteen of these values from `first` on; zero past their end.
#[inline(always)]
pub(super) fn sixteen_of<T: Pod>(values: &[T], first: usize) -> [T; PANEL_LEN] {
    let values = values.get(first..).unwrap_or_default();
    match values.first_chunk() {
        Some(values) => *values,
        None => {
            let mut some = [T::zeroed(); PANEL_LEN];
            some.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
            some
        }
    }
}

/// Sixteen values to as many places, or to fewer those that there is a place for.
#[inline(always)]
pub(super) fn put<T: Pod>(values: [T; PANEL_LEN], to: &mut [T]) {
    match to.first_chunk_mut() {
        Some(to) => *to = values,
        None => put_part(&values, to),
    }
}

/// By eight, four, two and one: a call for so few would take longer.
#[inline(always)]
fn put_part<T: Pod>(values: &[T; PANEL_LEN], to: &mut [T]) {
    let (values, to) = put_some::<T, 8>(values, to);
    let (values, to) = put_some::<T, 4>(values, to);
    let (values, to) = put_some::<T, 2>(values, to);
    put_some::<T, 1>(values, to);
}

/// The first `N` values, if there is a place for them: gives what is left.
#[inline(always)]
fn put_some<'v, 't, T: Pod, const N: usize>(values: &'v [T], to: &'t mut [T]) -> (&'v [T], &'t mut [T]) {
    match (values.split_first_chunk::<N>(), to.len() >= N) {
        (Some((some, values)), true) => {
            let (first, to) = to.split_at_mut(N);
            if let Some(first) = first.first_chunk_mut() {
                *first = *some;
            }
            (values, to)
        }
        _ => (values, to),
    }
}

/// [`put`] of reals in registers.
#[inline(always)]
fn put_reals<V: Sixteen>(reals: V, to: &mut [f32]) {
    let mut values = [0.0; PANEL_LEN];
    reals.store(&mut values);
    put(values, to);
}
