//! Loops over rows of weights, and over states.

use super::random::{Random, Weights};
use flatpack_runtime::arch::{Active, Arch, Patch, RowsI8, Scratch};

pub(crate) fn fully_connected(random: &mut Random) -> Option<bool> {
    let (depth, len) = (random.size(1, 100), random.size(1, 30));
    let weights = Weights::of(random);
    let outputs = weights.outputs(len, random.next() & 3 == 0);
    let (mut x, mut y) = ([0; 100], [0; 30]);
    let (x, y) = (x.get_mut(..depth)?, y.get_mut(..len)?);
    random.fill(x, true);
    let w = weights.w.get(..len * depth)?;
    let scratch = &mut <Active as Arch>::Scratch::new();
    let rows = RowsI8 { w, depth, zero: 0, outputs, quads: scratch.quads(2 * depth.div_ceil(4)) };
    let Some(done) = Active::gemm_i8(&Patch::one_tap([&*x], depth), true, &rows, &mut [&mut *y]) else {
        return Some(false);
    };
    for ((output, &y), w) in y.iter().enumerate().zip(w.chunks_exact(depth.max(1))).take(done) {
        let sum = x.iter().zip(w).map(|(x, w)| i32::from(*x) * i32::from(*w)).sum();
        if weights.end(&outputs, output, sum)? != y {
            return None;
        }
    }
    Some(true)
}

/// One row of weights by itself.
pub(crate) fn row(random: &mut Random) -> Option<bool> {
    let len = random.size(0, 70);
    let (mut x, mut w) = ([0; 70], [0; 70]);
    random.fill(&mut x, true);
    random.fill(&mut w, true);
    let start = random.next() as i32;
    let products = x.iter().zip(w).map(|(&x, w)| i32::from(x) * i32::from(w));
    let wanted = start.wrapping_add(products.take(len).sum());
    (Active::one_sum_i8(start, x.get(..len)?, &w) == wanted).then_some(true)
}

/// Four rows of weights, from somewhere on.
pub(crate) fn rows(random: &mut Random) -> Option<bool> {
    let (len, at) = (random.size(0, 70), random.size(0, 30));
    let (mut x, mut w) = ([0; 70], [[0; 100]; 4]);
    random.fill(&mut x, true);
    w.iter_mut().for_each(|row| random.fill(row, true));
    let x = x.get(..len)?;
    let start = [0; 4].map(|_| random.next() as i32);
    let mut found = start;
    Active::four_sums_i8(&mut found, x, &w.each_ref().map(|row| row.as_slice()), at)?;
    let met = found.iter().zip(start).zip(&w).all(|((found, start), row)| {
        let products = x.iter().zip(row.iter().skip(at)).map(|(&x, &w)| i32::from(x) * i32::from(w));
        *found == start + products.sum::<i32>()
    });
    met.then_some(true)
}

/// Up to nine rows of up to 40 elements.
pub(crate) fn rows_behind_each_other(random: &mut Random) -> Option<bool> {
    let (len, rows) = (random.size(1, 40), random.size(0, 9));
    let (mut x, mut w) = ([0; 40], [0; 9 * 40]);
    random.fill(&mut x, true);
    random.fill(&mut w, true);
    let x = x.get(..len)?;
    let (before, bias) = ([1; 9], [0; 9].map(|_| random.next() as i32));
    let mut found = before;
    Active::row_sums_i8(found.get_mut(..rows)?, &bias, x, &w)?;
    for (row, (found, bias)) in found.iter().zip(bias).enumerate() {
        let products = x.iter().zip(w.iter().skip(row * len)).map(|(&x, &w)| i32::from(x) * i32::from(w));
        if *found != if row < rows { bias + products.sum::<i32>() } else { 1 } {
            return None;
        }
    }
    Some(true)
}

/// Up to nine rows of up to 40 elements, the last of which ends where the weights do, at one to four moments.
pub(crate) fn moments(random: &mut Random) -> Option<bool> {
    let (len, rows, moments) = (random.size(1, 40), random.size(1, 9), random.size(1, 4));
    let x_step = len + random.size(0, 5);
    let (mut x, mut w) = ([0; 4 * 45], [0; 9 * 40]);
    random.fill(&mut x, true);
    random.fill(&mut w, true);
    let (x, w) = (x.get(..(moments - 1) * x_step + len)?, w.get(..rows * len)?);
    let bias = [0; 9].map(|_| random.next() as i32);
    let bias = bias.get(..rows)?;
    let mut found = [1; 4 * 9];
    Active::sums_of_moments_i8(found.get_mut(..moments * rows)?, bias, x, [len, x_step], w)?;
    for (at, found) in found.into_iter().enumerate() {
        let (moment, row) = (at.checked_div(rows)?, at.checked_rem(rows)?);
        let wanted = if moment < moments {
            let pairs = x.iter().skip(moment * x_step).zip(w.iter().skip(row * len)).take(len);
            pairs.fold(*bias.get(row)?, |sum, (&x, &w)| sum + i32::from(x) * i32::from(w))
        } else {
            1
        };
        if found != wanted {
            return None;
        }
    }
    Some(true)
}

/// States of up to five units with up to three filters of up to 20 elements, of which some are extremes; what lies behind
/// them stays.
pub(crate) fn states(random: &mut Random) -> Option<bool> {
    let (memory, units, rank) = (random.size(1, 20), random.size(1, 5), random.size(1, 3));
    let filters = units * rank;
    let start = [0; 5].map(|_| random.next() as i32);
    let mut any = |_| match random.next() & 7 {
        0 => i16::MIN,
        1 => i16::MAX,
        _ => random.next() as i16,
    };
    let (before, w, new) = ([0; 301].map(&mut any), [0; 300].map(&mut any), [0; 15].map(&mut any));
    let (mut after, mut sums) = (before, start);
    let (held, new) = (after.get_mut(..memory * filters)?, new.get(..filters)?);
    Active::state_sums_i16(sums.get_mut(..units)?, new, held, &w)?;
    let mut wanted = start;
    for (filter, new) in new.iter().enumerate() {
        let first = filter * memory;
        let moved = before.iter().skip(first + 1).take(memory - 1).chain([new]);
        let sum = wanted.get_mut(filter.checked_div(rank)?)?;
        for ((moved, after), w) in moved.zip(after.iter().skip(first)).zip(w.iter().skip(first)) {
            *sum = sum.wrapping_add(i32::from(*moved).wrapping_mul(i32::from(*w)));
            if moved != after {
                return None;
            }
        }
    }
    if wanted != sums {
        return None;
    }
    let behind = memory * filters;
    (before.get(behind..)? == after.get(behind..)?).then_some(true)
}
