//! A walk over the moments of a sequence: what recurrent operators have in common.

/// Extents of a sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    pub(super) batch: usize,
    pub(super) time: usize,
    pub(super) inputs: usize,
    pub(super) units: usize,
    /// x is `[time, batch, inputs]`, not `[batch, time, inputs]`; likewise y.
    pub(super) time_major: bool,
}

impl Sequence {
    /// The extents of x `[N, T, I]`, or `[T, N, I]`.
    pub(super) fn new([first, second, inputs]: [usize; 3], units: usize, time_major: bool) -> Self {
        let (batch, time) = if time_major { (second, first) } else { (first, second) };
        Self { batch, time, inputs, units, time_major }
    }

    /// Calls `step` for each element of the batch and each moment, in their order, with x, the hidden
    /// state before, the cell, and y, which becomes the hidden state; leaves the last one in `hidden`.
    pub(super) fn walk<T: Copy, C>(
        &self,
        x: &[T],
        y: &mut [T],
        hidden: &mut [T],
        cell: &mut [C],
        mut step: impl FnMut(&[T], &[T], &mut [C], &mut [T]) -> Option<()>,
    ) -> Option<()> {
        let &Self { batch, time, inputs, units, time_major } = self;
        for n in 0..batch {
            let hidden = hidden.get_mut(n * units..)?.get_mut(..units)?;
            let cell = cell.get_mut(n * units..)?.get_mut(..units)?;
            let row = |t: usize| if time_major { t * batch + n } else { n * time + t };
            for t in 0..time {
                let (before, from) = y.split_at_mut_checked(row(t) * units)?;
                let last = match t.checked_sub(1) {
                    None => &*hidden,
                    Some(t) => before.get(row(t) * units..)?.get(..units)?,
                };
                step(x.get(row(t) * inputs..)?.get(..inputs)?, last, cell, from.get_mut(..units)?)?;
            }
            let last = y.get(row(time.checked_sub(1)?) * units..)?;
            hidden.iter_mut().zip(last).for_each(|(hidden, y)| *hidden = *y);
        }
        Some(())
    }
}
