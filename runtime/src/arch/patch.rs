//! What the windows of some pixels see of the activations.

/// What the windows of `P` pixels see of the activations: taps along three axes, outermost first.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'x, const P: usize, T = f32> {
    /// For each pixel, the activations from its first tap on.
    pub x: [&'x [T]; P],
    /// Where the weights of the first tap begin.
    pub w_at: usize,
    /// Elements of a tap.
    pub len: usize,
    /// Number of taps along each axis.
    pub counts: [usize; 3],
    /// From one tap to the next along each axis, in elements of x.
    pub x_steps: [usize; 3],
    /// From one tap to the next along each axis, in elements of the weights.
    pub w_steps: [isize; 3],
}

impl<'x, const P: usize, T> Patch<'x, P, T> {
    /// One tap: `len` elements for each pixel.
    pub fn one_tap(x: [&'x [T]; P], len: usize) -> Self {
        Self { x, w_at: 0, len, counts: [1; 3], x_steps: [0; 3], w_steps: [0; 3] }
    }

    /// What pixel `p` sees.
    pub(crate) fn pixel(&self, p: usize) -> Option<Patch<'x, 1, T>> {
        let &Self { w_at, len, counts, x_steps, w_steps, .. } = self;
        Some(Patch { x: [self.x.get(p)?], w_at, len, counts, x_steps, w_steps })
    }

    /// The activations, all of the same length, so that one check of an index serves all pixels.
    #[inline(always)]
    pub(super) fn of_equal_len(&self) -> Option<[&'x [T]; P]> {
        let len = self.x.iter().map(|x| x.len()).min()?;
        map(self.x, |x| x.get(..len))
    }

    /// Calls `f` with where each tap begins, in x and in the weights.
    #[inline(always)]
    pub(crate) fn try_each_tap(&self, mut f: impl FnMut(usize, usize) -> Option<()>) -> Option<()> {
        let ([planes, rows, columns], [x0, x1, x2], [w0, w1, w2]) = (self.counts, self.x_steps, self.w_steps);
        let mut plane = (0usize, self.w_at);
        for _ in 0..planes {
            let mut row = plane;
            for _ in 0..rows {
                let mut tap = row;
                for _ in 0..columns {
                    f(tap.0, tap.1)?;
                    tap = (tap.0.wrapping_add(x2), tap.1.wrapping_add_signed(w2));
                }
                row = (row.0.wrapping_add(x1), row.1.wrapping_add_signed(w1));
            }
            plane = (plane.0.wrapping_add(x0), plane.1.wrapping_add_signed(w0));
        }
        Some(())
    }
}

/// `f` of each of `P` slices.
#[inline(always)]
pub(super) fn map<'x, const P: usize, T>(
    mut x: [&'x [T]; P],
    f: impl Fn(&'x [T]) -> Option<&'x [T]>,
) -> Option<[&'x [T]; P]> {
    for x in &mut x {
        *x = f(x)?;
    }
    Some(x)
}

/// `x[at..at + len]`.
#[inline(always)]
pub(super) fn stretch<T>(x: &[T], at: usize, len: usize) -> Option<&[T]> {
    x.get(at..)?.get(..len)
}
