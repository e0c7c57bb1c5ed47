//! Sums of integers at their common scale, sixteen at a time.

use super::{put, sixteen_of};
use flatpack_format::ops::add_i8::AddI8Params;

/// How an instruction set adds sixteen elements.
pub(in crate::arch) trait Sums {
    /// With these parameters.
    fn of(params: &AddI8Params) -> Self;

    /// Elements of y: of `a + b`, or if `MINUS` of `a − b`.
    fn sixteen<const MINUS: bool>(&self, a: [i8; 16], b: [i8; 16]) -> [i8; 16];
}

/// See [`Arch::add_run_i8`](crate::arch::Arch::add_run_i8).
#[inline(always)]
pub(in crate::arch) fn add_run<V: Sums, const MINUS: bool>(
    params: &AddI8Params,
    a: Option<&[i8]>,
    b: Option<&[i8]>,
    y: &mut [i8],
) -> Option<()> {
    let sums = V::of(params);
    for at in (0..y.len()).step_by(16) {
        let (a, b) = (sixteen_of(a.unwrap_or(y), at), sixteen_of(b.unwrap_or(y), at));
        put(sums.sixteen::<MINUS>(a, b), y.get_mut(at..)?);
    }
    Some(())
}
