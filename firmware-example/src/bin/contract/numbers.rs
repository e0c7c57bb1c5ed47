//! Loops over numbers, each by itself.

use super::random::Random;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_runtime::arch::{Active, Arch};
use flatpack_runtime::fixed;

/// Up to five rows; what lies between those of y stays, and of the last one there may be no more than is copied.
pub(crate) fn copies(random: &mut Random) -> Option<bool> {
    let (rows, len) = (random.size(1, 5), random.size(0, 40));
    let (y_step, x_step) = (len.max(1) + random.size(0, 5), random.size(0, 45));
    let (mut x, mut before) = ([0; 5 * 45], [0; 5 * 45]);
    [&mut x, &mut before].into_iter().flatten().for_each(|byte| *byte = random.next() as u8);
    let mut after = before;
    let end = (rows - 1) * y_step + random.size(len.max(1), y_step);
    let x = x.get(..(rows - 1) * x_step + len)?;
    Active::copy_rows(after.get_mut(..end)?, y_step, x, x_step, len)?;
    for (at, (before, after)) in before.iter().zip(after).enumerate() {
        let (row, i) = (at.checked_div(y_step)?, at.checked_rem(y_step)?);
        let wanted = if row < rows && i < len { x.get(row * x_step + i)? } else { before };
        if *wanted != after {
            return None;
        }
    }
    let too_short = x.get(..(rows - 1) * x_step + len.saturating_sub(1))?;
    let refused = Active::copy_rows(after.get_mut(..end)?, y_step, too_short, x_step, len).is_none();
    (len == 0 || refused).then_some(true)
}

/// Twenty numbers of all sizes, and a multiplier with any shift.
fn sums_and_multiplier(random: &mut Random) -> ([i32; 20], Multiplier) {
    let sums = [0; 20].map(|_| match random.next() & 7 {
        0 => i32::MIN,
        1 => i32::MAX,
        _ => ((random.next() << 16 ^ random.next()) as i32) >> random.of(0, 31),
    });
    let by = match random.next() & 7 {
        0 => Multiplier { mantissa: 0, shift: random.of(-31, 30) },
        1 => random.multiplier([0, 30]),
        2 => random.multiplier([-31, -22]),
        _ => random.multiplier([-21, -1]),
    };
    (sums, by)
}

/// Up to twenty; what lies behind them stays.
pub(crate) fn added(random: &mut Random) -> Option<bool> {
    let (len, (sums, by)) = (random.size(0, 20), sums_and_multiplier(random));
    let before = [0; 20].map(|_| random.next() as i16);
    let mut after = before;
    Active::add_multiplied_i16(after.get_mut(..len)?, &sums, by);
    let met = before.iter().zip(after).zip(sums).enumerate().all(|(at, ((before, after), sum))| {
        let added = if at < len { fixed::saturate_i16(fixed::multiply(sum, by)) } else { 0 };
        after == before.saturating_add(added)
    });
    met.then_some(true)
}

/// Up to twenty; what lies behind them stays.
pub(crate) fn requantized(random: &mut Random) -> Option<bool> {
    let (len, (sums, by), of_y) = (random.size(0, 20), sums_and_multiplier(random), random.output());
    let mut y = [1; 20];
    Active::requantize_row_i8(y.get_mut(..len)?, &sums, by, &of_y);
    let met = y
        .iter()
        .zip(sums)
        .enumerate()
        .all(|(at, (y, sum))| *y == if at < len { fixed::requantize(sum, by, &of_y) } else { 1 });
    met.then_some(true)
}

/// Up to twenty, of which some are extremes; what lies behind them stays.
pub(crate) fn gates(random: &mut Random) -> Option<bool> {
    let (len, shift) = (random.size(0, 20), random.of(-15, 14));
    let before = [0; 20].map(|_| match random.next() & 7 {
        0 => i16::MIN,
        1 => i16::MAX,
        _ => (random.next() as i16) >> random.of(0, 15),
    });
    let [mut logistic, mut tanh] = [before; 2];
    Active::logistic_i16(logistic.get_mut(..len)?);
    Active::tanh_i16(tanh.get_mut(..len)?, shift);
    let met = before.into_iter().zip(logistic).zip(tanh).enumerate().all(|(at, ((x, logistic), tanh))| {
        [logistic, tanh] == if at < len { [fixed::logistic(x), fixed::tanh(x, shift)] } else { [x; 2] }
    });
    met.then_some(true)
}

/// Up to nine multipliers, of which often one is not plain, by its mantissa or its shift.
pub(crate) fn plain(random: &mut Random) -> Option<bool> {
    let len = random.size(0, 9);
    let mut multipliers = [0; 9].map(|_| random.multiplier([-21, -1]));
    let odd = match random.next() & 7 {
        0 => Multiplier { mantissa: random.of(0, (1 << 30) - 1), shift: -5 },
        1 => random.multiplier([0, 30]),
        2 => random.multiplier([-31, -22]),
        3 => random.multiplier([0, 0]),
        4 => random.multiplier([-22, -22]),
        _ => random.multiplier([-21, -1]),
    };
    *multipliers.get_mut(random.size(0, 8))? = odd;
    let multipliers = multipliers.get(..len)?;
    let plain = |by: &Multiplier| by.mantissa >= 1 << 30 && (-21..=-1).contains(&by.shift);
    (Active::all_plain(multipliers) == multipliers.iter().all(plain)).then_some(true)
}

pub(crate) fn sums(random: &mut Random) -> Option<bool> {
    // Scales of which one is the other, as models have them, and then halves; or any.
    let [a_multiplier, b_multiplier, multiplier] = match random.next() & 3 {
        0 => [0, 0, -19].map(|shift| Multiplier { mantissa: 1 << 30, shift }),
        _ => [[-20, -14], [-20, -14], [-4, -1]].map(|shifts| random.multiplier(shifts)),
    };
    let p = AddI8Params {
        a_zero_point: random.of(-128, 127),
        b_zero_point: random.of(-128, 127),
        a_multiplier,
        b_multiplier,
        multiplier,
        y: random.output(),
    };
    let (mut a, mut b) = ([0; 67], [0; 67]);
    let len = random.size(1, a.len());
    random.fill(&mut a, true);
    random.fill(&mut b, true);
    let (a, b) = (a.get(..len)?, b.get(..len)?);
    let (mut y, places, minus) = ([0; 67], random.next() & 3, random.next() & 1 == 0);
    let y = y.get_mut(..len)?;
    // Either may be what y holds.
    let (in_y, from_a) = (if places == 1 { a } else { b }, (places != 1).then_some(a));
    y.iter_mut().zip(in_y).for_each(|(y, x)| *y = *x);
    let from_b = (places != 2).then_some(b);
    let ran = match minus {
        true => Active::add_runs_i8::<true>(&p).and_then(|run| run(from_a, from_b, y)),
        false => Active::add_runs_i8::<false>(&p).and_then(|run| run(from_a, from_b, y)),
    };
    if ran.is_none() {
        return Some(false);
    }
    let scaled = |x: i8, zero_point: i32, by| fixed::multiply((i32::from(x) - zero_point) << 20, by);
    let met = y.iter().zip(a).zip(b).all(|((y, a), b)| {
        let (a, b) = (scaled(*a, p.a_zero_point, p.a_multiplier), scaled(*b, p.b_zero_point, p.b_multiplier));
        *y == fixed::requantize(if minus { a.wrapping_sub(b) } else { a.wrapping_add(b) }, p.multiplier, &p.y)
    });
    met.then_some(true)
}
