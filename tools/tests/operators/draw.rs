//! Numbers that look random and repeat.

use std::ops::RangeInclusive;

/// A stream of numbers from a seed (xorshift64*, Marsaglia 2003 and Vigna 2016).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    pub(crate) fn from(&mut self, range: RangeInclusive<u32>) -> u32 {
        range.start() + self.next() % (range.end() - range.start() + 1)
    }

    pub(crate) fn chance(&mut self) -> bool {
        self.next() & 1 == 1
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.next() as usize % choices.len()]
    }

    /// From 1 to `usual`, sometimes to eight times that, where tract takes other ways.
    pub(crate) fn size(&mut self, usual: u32) -> u32 {
        let limit = if self.from(0..=5) == 0 { 8 * usual } else { usual };
        self.from(1..=limit)
    }

    /// Between −1 and 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn units(&mut self, len: u32) -> Vec<f32> {
        (0..len).map(|_| self.unit()).collect()
    }

    /// Extents of a tensor, of a rank in `ranks`.
    pub(crate) fn dims(&mut self, ranks: RangeInclusive<u32>) -> Vec<u32> {
        (0..self.from(ranks)).map(|_| self.from(1..=5)).collect()
    }

    /// The axes of a tensor in any order.
    pub(crate) fn permutation(&mut self, len: usize) -> Vec<u32> {
        let mut axes: Vec<u32> = (0..len as u32).collect();
        for last in (1..len).rev() {
            axes.swap(last, self.next() as usize % (last + 1));
        }
        axes
    }
}
