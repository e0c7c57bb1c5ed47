//! Elementwise operators of two integers, as reals of sixteen elements.

use super::requantize::{Elements, Rounded};
use crate::arch::RunsI8;
use crate::arch::wide::{Places, put, sixteen_of};
use crate::pieces::tail;

/// Elements that are rounded before one looks whether all are sure, in sixteens.
const MANY: usize = 4;

/// An operator.
pub(in crate::arch) trait Pairs<V> {
    /// How its reals become elements of y.
    fn elements(&self) -> &Elements;

    /// Elements of y as reals, of which [`ONE`](super::requantize::ONE) are one, with [`Elements::offset`].
    fn reals(&self, a: V, b: V) -> V;

    /// Elements of y, computed as integers.
    fn exactly(&self, a: [i8; 16], b: [i8; 16]) -> [i8; 16];
}

/// What gives y of a and b.
pub(in crate::arch) fn runs<V: Rounded>(of: impl Pairs<V> + Sync) -> impl RunsI8 {
    move |a: Option<&[i8]>, b: Option<&[i8]>, y: &mut [i8]| V::run(&of, a, b, y)
}

/// y of a and b; `None` for one is what y holds.
#[inline(always)]
pub(in crate::arch) fn run<V: Rounded>(
    of: &impl Pairs<V>,
    a: Option<&[i8]>,
    b: Option<&[i8]>,
    y: &mut [i8],
) -> Option<()> {
    let len = y.len();
    let (sixteens, rest) = y.as_chunks_mut();
    let (many, few) = sixteens.as_chunks_mut::<MANY>();
    let (at_few, at_rest) = (16 * MANY * many.len(), len - rest.len());
    chunks(of, a, b, many)?;
    chunks(of, tail(a, at_few)?, tail(b, at_few)?, few.as_chunks_mut::<1>().0)?;
    if !rest.is_empty() {
        let (a, b) = (tail(a, at_rest)?.unwrap_or(rest), tail(b, at_rest)?.unwrap_or(rest));
        let (a, b) = (sixteen_of(a, 0), sixteen_of(b, 0));
        let mut y = [[0; 16]];
        some::<V, 1>(of, &[a], &[b], &mut y)?;
        let [y] = y;
        put(y, rest);
    }
    Some(())
}

/// `P` sixteens at a time.
#[inline(always)]
fn chunks<V: Rounded, const P: usize>(
    of: &impl Pairs<V>,
    a: Option<&[i8]>,
    b: Option<&[i8]>,
    y: &mut [[[i8; 16]; P]],
) -> Option<()> {
    let of_a = a.map(|a| a.as_chunks().0.as_chunks::<P>().0);
    let of_b = b.map(|b| b.as_chunks().0.as_chunks::<P>().0);
    for (at, y) in y.iter_mut().enumerate() {
        // Copies: if it is not known where they are, the loop over them is not unrolled.
        let a = of_a.map_or(Some(*y), |a| a.get(at).copied())?;
        let b = of_b.map_or(Some(*y), |b| b.get(at).copied())?;
        some::<V, P>(of, &a, &b, y)?;
    }
    Some(())
}

#[inline(always)]
fn some<V: Rounded, const P: usize>(
    of: &impl Pairs<V>,
    a: &[[i8; 16]; P],
    b: &[[i8; 16]; P],
    y: &mut [[i8; 16]; P],
) -> Option<()> {
    let mut reals = [V::splat(0.0); P];
    for ((reals, a), b) in reals.iter_mut().zip(a).zip(b) {
        *reals = of.reals(V::of(*a), V::of(*b));
    }
    let mut places = Places { y: y.as_flattened_mut(), stride: 16, len: 16 };
    if !of.elements().put(&reals, &mut places)? {
        V::exactly(of, a, b, y);
    }
    Some(())
}

/// Those that are not sure, as integers.
#[inline(always)]
pub(in crate::arch) fn exactly<V: Rounded>(
    of: &impl Pairs<V>,
    a: &[[i8; 16]],
    b: &[[i8; 16]],
    y: &mut [[i8; 16]],
) {
    for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
        let reals = [of.reals(V::of(*a), V::of(*b))];
        let sure = of.elements().put(&reals, &mut Places { y, stride: 16, len: 16 });
        if sure != Some(true) {
            *y = of.exactly(*a, *b);
        }
    }
}
