//! What operands are made of.

use flatpack_format::ops::{Multiplier, OutputI8};
use flatpack_runtime::arch::OutputsI8;
use flatpack_runtime::fixed;

/// Numbers without a pattern.
pub(crate) struct Random(pub(crate) u32);

impl Random {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    pub(crate) fn of(&mut self, from: i32, to: i32) -> i32 {
        from + self.next().checked_rem((to - from + 1) as u32).unwrap_or_default() as i32
    }

    /// Numbers between −1 and 1.
    pub(crate) fn reals(&mut self, to: &mut [f32]) {
        to.iter_mut().for_each(|to| *to = self.of(-(1 << 22), 1 << 22) as f32 / (1 << 22) as f32);
    }

    pub(crate) fn size(&mut self, from: usize, to: usize) -> usize {
        self.of(from as i32, to as i32) as usize
    }

    /// One in four is an extreme, unless there are to be none.
    pub(crate) fn fill(&mut self, to: &mut [i8], extremes: bool) {
        for to in to {
            let byte = self.next();
            *to = match byte & 3 {
                0 if extremes => [i8::MIN, i8::MAX][(byte >> 2 & 1) as usize],
                _ => ((byte >> 4) as i8).max(-127),
            };
        }
    }

    pub(crate) fn multiplier(&mut self, shifts: [i32; 2]) -> Multiplier {
        let [from, to] = shifts;
        // Of a half, products are exact: what the shift leaves is a half now and then.
        let mantissa = if self.next() & 1 == 0 { 1 << 30 } else { self.of(1 << 30, i32::MAX - 1) };
        Multiplier { mantissa, shift: self.of(from, to) }
    }

    pub(crate) fn output(&mut self) -> OutputI8 {
        let (a, b) = (self.of(-128, 127), self.of(-128, 127));
        let bounds = if self.next() & 1 == 0 { [-128, 127] } else { [a.min(b), a.max(b)] };
        OutputI8 { zero_point: self.of(-128, 127), min: bounds[0], max: bounds[1] }
    }
}

pub(crate) const CHANNELS: usize = 200;

/// Weights of up to 15 taps, a bias, multipliers.
pub(crate) struct Weights {
    pub(crate) w: [i8; 15 * CHANNELS],
    pub(crate) bias: [i32; CHANNELS],
    pub(crate) requant: [Multiplier; CHANNELS],
    pub(crate) y: OutputI8,
}

impl Weights {
    pub(crate) fn of(random: &mut Random) -> Self {
        let mut weights = Self {
            w: [0; 15 * CHANNELS],
            bias: [0; CHANNELS],
            requant: [Multiplier { mantissa: 0, shift: 0 }; CHANNELS],
            y: random.output(),
        };
        let extremes = random.next() & 1 == 0;
        random.fill(&mut weights.w, extremes);
        // One in eight has numbers of all sizes.
        let large = random.next() & 7 == 0;
        weights.bias.iter_mut().for_each(|bias| {
            *bias =
                if large { (random.next() << 16 ^ random.next()) as i32 } else { random.of(-30_000, 30_000) };
        });
        weights.requant.iter_mut().for_each(|by| *by = random.multiplier([-12, -5]));
        weights
    }

    pub(crate) fn outputs(&self, channels: usize, one: bool) -> OutputsI8<'_> {
        let requant = self.requant.get(..if one { 1 } else { channels }).unwrap_or_default();
        OutputsI8 { bias: self.bias.get(..channels).unwrap_or_default(), requant, plain: true, y: self.y }
    }

    pub(crate) fn end(&self, outputs: &OutputsI8<'_>, channel: usize, sum: i32) -> Option<i8> {
        let sum = sum.wrapping_add(*self.bias.get(channel)?);
        Some(fixed::requantize(sum, fixed::of_output(outputs.requant, channel)?, &self.y))
    }
}
