//! The loops of this chip's instruction set beside the formulas they stand for, on operands that models rarely have:
//! extremes, exact halves, small multipliers, windows of all kinds. Loops that give nothing leave the work to the
//! portable ones, which the other programs run.

#![no_std]
#![no_main]

use defmt::{error, println};
use firmware_example::{entry, exit};
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_format::ops::{Multiplier, OutputI8};
use flatpack_runtime::arch::{Active, Arch, Image, OutputsI8, Patch, RowsI8, Scratch};
use flatpack_runtime::fixed;

firmware_example::log_faults!();

#[entry]
fn main() -> ! {
    let mut random = Random(12345);
    let mut met = [0u32; 14];
    for round in 0..ROUNDS {
        for (test, met) in TESTS.into_iter().zip(&mut met) {
            match test(&mut random) {
                Some(true) => *met += 1,
                Some(false) => {}
                None => {
                    error!("another result than the formula's, in round {=u32}", round);
                    exit(false)
                }
            }
        }
    }
    let [
        convolved,
        images,
        outputs,
        pixels,
        sums,
        windows,
        rows,
        behind,
        states,
        copies,
        scaled,
        plain,
        products,
        by_channel,
    ] = met;
    println!(
        "equal: {=u32} and {=u32} images, {=u32} and {=u32} pixels, {=u32} sums, {=u32} windows, {=u32} and {=u32} rows, {=u32} states, {=u32} copies, {=u32} rows of scaled numbers, {=u32} of multipliers, {=u32} and {=u32} real products of {=u32} each",
        convolved,
        images,
        outputs,
        pixels,
        sums,
        windows,
        rows,
        behind,
        states,
        copies,
        scaled,
        plain,
        products,
        by_channel,
        ROUNDS
    );
    exit(true)
}

const ROUNDS: u32 = 400;

/// `None` where there is another result, `Some(false)` where there is none.
const TESTS: [fn(&mut Random) -> Option<bool>; 14] = [
    conv_image,
    depthwise_image,
    fully_connected,
    depthwise,
    sums,
    windows,
    rows,
    rows_behind_each_other,
    states,
    copies,
    scaled,
    plain,
    products,
    products_by_channel,
];

/// Numbers without a pattern.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    fn of(&mut self, from: i32, to: i32) -> i32 {
        from + self.next().checked_rem((to - from + 1) as u32).unwrap_or_default() as i32
    }

    /// Numbers between −1 and 1.
    fn reals(&mut self, to: &mut [f32]) {
        to.iter_mut().for_each(|to| *to = self.of(-(1 << 22), 1 << 22) as f32 / (1 << 22) as f32);
    }

    fn size(&mut self, from: usize, to: usize) -> usize {
        self.of(from as i32, to as i32) as usize
    }

    /// One in four is an extreme, unless there are to be none.
    fn fill(&mut self, to: &mut [i8], extremes: bool) {
        for to in to {
            let byte = self.next();
            *to = match byte & 3 {
                0 if extremes => [i8::MIN, i8::MAX][(byte >> 2 & 1) as usize],
                _ => ((byte >> 4) as i8).max(-127),
            };
        }
    }

    fn multiplier(&mut self, shifts: [i32; 2]) -> Multiplier {
        let [from, to] = shifts;
        // Of a half, products are exact: what the shift leaves is a half now and then.
        let mantissa = if self.next() & 1 == 0 { 1 << 30 } else { self.of(1 << 30, i32::MAX - 1) };
        Multiplier { mantissa, shift: self.of(from, to) }
    }

    fn output(&mut self) -> OutputI8 {
        let (a, b) = (self.of(-128, 127), self.of(-128, 127));
        let bounds = if self.next() & 1 == 0 { [-128, 127] } else { [a.min(b), a.max(b)] };
        OutputI8 { zero_point: self.of(-128, 127), min: bounds[0], max: bounds[1] }
    }
}

const CHANNELS: usize = 200;

/// Weights of up to 15 taps, a bias, multipliers.
struct Weights {
    w: [i8; 15 * CHANNELS],
    bias: [i32; CHANNELS],
    requant: [Multiplier; CHANNELS],
    y: OutputI8,
}

impl Weights {
    fn of(random: &mut Random) -> Self {
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

    fn outputs(&self, channels: usize, one: bool) -> OutputsI8<'_> {
        let requant = self.requant.get(..if one { 1 } else { channels }).unwrap_or_default();
        OutputsI8 { bias: self.bias.get(..channels).unwrap_or_default(), requant, plain: true, y: self.y }
    }

    fn end(&self, outputs: &OutputsI8<'_>, channel: usize, sum: i32) -> Option<i8> {
        let sum = sum.wrapping_add(*self.bias.get(channel)?);
        Some(fixed::requantize(sum, fixed::of_output(outputs.requant, channel)?, &self.y))
    }
}

/// Windows over a small image, of so many channels in x and y; `None` if no window fits.
fn image(random: &mut Random, channels: [usize; 2]) -> Option<Image> {
    let taps = if random.next() & 3 == 0 { [random.size(1, 3), random.size(1, 3)] } else { [3; 2] };
    let (stride, dilation) = ([random.size(1, 2), random.size(1, 3)], [random.size(1, 2), random.size(1, 2)]);
    let (mut size, mut pad) =
        ([random.size(1, 4), random.size(1, 6)], [random.size(0, 2), random.size(0, 2)]);
    let dilation = if random.next() & 1 == 0 { dilation } else { [1; 2] };
    // Of one window, as those of streams are.
    if dilation[1] == 1 && random.next() & 3 == 0 {
        (size, pad) = ([(taps[0] - 1) * dilation[0] + 1, taps[1]], [0; 2]);
    }
    let mut out = [0; 2];
    for (axis, out) in out.iter_mut().enumerate() {
        let reach = (taps.get(axis)? - 1) * dilation.get(axis)?;
        let room = (size.get(axis)? + 2 * pad.get(axis)?).checked_sub(reach + 1)?;
        *out = room.checked_div(*stride.get(axis)?)? + 1;
    }
    let ([h, width], [oh, ow], [x, y]) = (size, out, channels);
    let x_zero_point = random.of(-128, 127);
    Some(Image { x: [h, width, x], x_zero_point, y: [oh, ow, y], taps, stride, dilation, pad })
}

/// What a pixel of y sees of a channel through a tap.
fn seen(image: &Image, x: &[i8], pixel: usize, tap: usize, channel: usize) -> Option<i32> {
    let ([h, width, channels], [_, ow, _], [_, kw]) = (image.x, image.y, image.taps);
    let at = [pixel.checked_div(ow)?, pixel.checked_rem(ow)?];
    let tap_at = [tap.checked_div(kw)?, tap.checked_rem(kw)?];
    let position = |axis: usize| {
        let from = at.get(axis)? * image.stride.get(axis)? + tap_at.get(axis)? * image.dilation.get(axis)?;
        from.checked_sub(*image.pad.get(axis)?)
            .filter(|at| [h, width].get(axis).is_some_and(|size| at < size))
    };
    match (position(0), position(1)) {
        (Some(row), Some(column)) => Some((*x.get((row * width + column) * channels + channel)?).into()),
        _ => Some(image.x_zero_point),
    }
}

/// Calls `run` for an image as for two of some rows each, with what each has of x and y, as for steps whose output lies
/// over their input. `None` if it gives that.
fn in_two(
    random: &mut Random,
    image: &Image,
    x: &[i8],
    y: &mut [i8],
    mut run: impl FnMut(&Image, &[i8], &mut [i8]) -> Option<()>,
) -> Option<()> {
    let ([h, width, channels], [oh, ow, outputs]) = (image.x, image.y);
    let ([stride_h, _], [pad_h, pad_w]) = (image.stride, image.pad);
    let split = random.size(0, oh);
    for [from, to] in [[0, split], [split, oh]] {
        let first = (from * stride_h).saturating_sub(pad_h).min(h);
        let image = Image {
            x: [h - first, width, channels],
            y: [to - from, ow, outputs],
            pad: [pad_h.saturating_sub(from * stride_h), pad_w],
            ..*image
        };
        let y = y.get_mut(from * ow * outputs..to * ow * outputs)?;
        if from < to {
            run(&image, x.get(first * width * channels..)?, y)?;
        }
    }
    Some(())
}

fn conv_image(random: &mut Random) -> Option<bool> {
    let channels = if random.next() & 7 == 0 { random.size(24, 40) } else { random.size(1, 12) };
    let len = random.size(1, 8);
    let Some(image) = image(random, [channels, len]) else { return Some(false) };
    let ([h, width, _], [oh, ow, _], [kh, kw]) = (image.x, image.y, image.taps);
    let weights = Weights::of(random);
    let outputs = weights.outputs(len, random.next() & 3 == 0);
    let mut x = [0; 24 * CHANNELS];
    let x = x.get_mut(..h * width * channels)?;
    random.fill(x, true);
    let mut y = [0; 80 * CHANNELS];
    let y = y.get_mut(..oh * ow * len)?;
    let depth = kh * kw * channels;
    let w = weights.w.get(..len * depth)?;
    let scratch = &mut <Active as Arch>::Scratch::new();
    let run =
        |image: &Image, x: &[i8], y: &mut [i8]| Active::conv_image_i8(scratch, image, w, &outputs, x, y);
    if in_two(random, &image, x, y, run).is_none() {
        return Some(false);
    }
    for (pixel, y) in y.chunks_exact(len.max(1)).enumerate() {
        for ((output, &y), w) in y.iter().enumerate().zip(w.chunks_exact(depth.max(1))) {
            let mut sum = 0i32;
            for (tap, w) in w.chunks_exact(channels.max(1)).enumerate() {
                for (channel, &w) in w.iter().enumerate() {
                    sum += seen(&image, x, pixel, tap, channel)? * i32::from(w);
                }
            }
            if weights.end(&outputs, output, sum)? != y {
                return None;
            }
        }
    }
    Some(true)
}

fn depthwise_image(random: &mut Random) -> Option<bool> {
    let channels = match random.next() & 7 {
        0 => random.size(176, CHANNELS),
        _ => random.size(1, 40),
    };
    let channels = if random.next() & 3 == 0 { channels } else { channels.next_multiple_of(4) };
    let Some(image) = image(random, [channels; 2]) else { return Some(false) };
    let ([h, width, _], [oh, ow, _], [kh, kw]) = (image.x, image.y, image.taps);
    let weights = Weights::of(random);
    let outputs = weights.outputs(channels, random.next() & 3 == 0);
    let mut x = [0; 24 * CHANNELS];
    let x = x.get_mut(..h * width * channels)?;
    random.fill(x, true);
    let mut y = [0; 80 * CHANNELS];
    let y = y.get_mut(..oh * ow * channels)?;
    let w = weights.w.get(..kh * kw * channels)?;
    let scratch = &mut <Active as Arch>::Scratch::new();
    let run =
        |image: &Image, x: &[i8], y: &mut [i8]| Active::depthwise_image_i8(scratch, image, w, &outputs, x, y);
    if in_two(random, &image, x, y, run).is_none() {
        return Some(false);
    }
    for (pixel, y) in y.chunks_exact(channels.max(1)).enumerate() {
        for (channel, &y) in y.iter().enumerate() {
            let mut sum = 0i32;
            for (tap, w) in w.chunks_exact(channels.max(1)).enumerate() {
                sum += seen(&image, x, pixel, tap, channel)? * i32::from(*w.get(channel)?);
            }
            if weights.end(&outputs, channel, sum)? != y {
                return None;
            }
        }
    }
    Some(true)
}

fn fully_connected(random: &mut Random) -> Option<bool> {
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

fn depthwise(random: &mut Random) -> Option<bool> {
    let (channels, rows, columns) = (random.size(1, 40), random.size(1, 3), random.size(1, 5));
    let [row, tap] = [random.size(5, 6), random.size(1, 2)].map(|pixels| pixels * channels);
    let weights = Weights::of(random);
    let outputs = weights.outputs(channels, random.next() & 3 == 0);
    let mut x = [0; 24 * CHANNELS];
    random.fill(&mut x, true);
    let offset = if random.next() & 1 == 0 { 0 } else { random.of(-127, 128) as i16 };
    let patch = Patch {
        x: [&x],
        w_at: 0,
        len: channels,
        counts: [1, rows, columns],
        x_steps: [0, row, tap],
        w_steps: [0, (columns * channels) as isize, channels as isize],
    };
    let mut y = [0; CHANNELS];
    let y = y.get_mut(..channels)?;
    let Some(done) = Active::depthwise_i8(&patch, offset, &weights.w, &outputs, &mut [&mut *y]) else {
        return Some(false);
    };
    for (channel, &y) in y.iter().enumerate().take(done) {
        let mut sum = 0i32;
        for at in 0..rows * columns {
            let (i, j) = (at.checked_div(columns)?, at.checked_rem(columns)?);
            let x = i32::from(*x.get(i * row + j * tap + channel)?) + i32::from(offset);
            sum = sum.wrapping_add(x * i32::from(*weights.w.get(at * channels + channel)?));
        }
        if weights.end(&outputs, channel, sum)? != y {
            return None;
        }
    }
    Some(true)
}

/// Sums over windows of pools, of which some have more taps of one extreme than lanes of 16 bits hold.
fn windows(random: &mut Random) -> Option<bool> {
    let (rows, columns) = (random.size(1, 32), random.size(1, 32));
    let mut x = [0; 8 * 32];
    match random.next() & 3 {
        0 => x.fill(i8::MIN),
        1 => x.fill(i8::MAX),
        _ => random.fill(&mut x, true),
    }
    let patch = Patch {
        x: [&x],
        w_at: 0,
        len: 8,
        counts: [1, rows, columns],
        // All rows are one.
        x_steps: [0, 0, 8],
        w_steps: [0; 3],
    };
    let start: [i32; 8] = core::array::from_fn(|_| random.of(-1000, 1000));
    let mut found = start;
    Active::sum_tile_i8(&patch, &mut found)?;
    let sum =
        |channel: usize| x.iter().skip(channel).step_by(8).take(columns).map(|&x| i32::from(x)).sum::<i32>();
    let met = found
        .iter()
        .zip(start)
        .enumerate()
        .all(|(channel, (found, start))| *found == start + rows as i32 * sum(channel));
    met.then_some(true)
}

/// Four rows of weights, from somewhere on.
fn rows(random: &mut Random) -> Option<bool> {
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
fn rows_behind_each_other(random: &mut Random) -> Option<bool> {
    let (len, rows) = (random.size(1, 40), random.size(0, 9));
    let (mut x, mut w) = ([0; 40], [0; 9 * 40]);
    random.fill(&mut x, true);
    random.fill(&mut w, true);
    let x = x.get(..len)?;
    let start = [0; 9].map(|_| random.next() as i32);
    let mut found = start;
    Active::row_sums_i8(found.get_mut(..rows)?, x, &w)?;
    for (row, (found, start)) in found.iter().zip(start).enumerate() {
        let products = x.iter().zip(w.iter().skip(row * len)).map(|(&x, &w)| i32::from(x) * i32::from(w));
        let added = if row < rows { products.sum::<i32>() } else { 0 };
        if *found != start + added {
            return None;
        }
    }
    Some(true)
}

/// States of up to five filters of up to 20 elements, of which some are extremes; what lies behind them stays.
fn states(random: &mut Random) -> Option<bool> {
    let (memory, filters) = (random.size(1, 20), random.size(1, 5));
    let mut any = |_| match random.next() & 7 {
        0 => i16::MIN,
        1 => i16::MAX,
        _ => random.next() as i16,
    };
    let (before, w, new) = ([0; 101].map(&mut any), [0; 100].map(&mut any), [0; 5].map(&mut any));
    let (mut after, mut sums) = (before, [0; 5]);
    let (held, new) = (after.get_mut(..memory * filters)?, new.get(..filters)?);
    Active::state_sums_i16(sums.get_mut(..filters)?, new, held, &w)?;
    for (filter, (new, found)) in new.iter().zip(sums).enumerate() {
        let first = filter * memory;
        let moved = before.iter().skip(first + 1).take(memory - 1).chain([new]);
        let mut sum = 0i32;
        for ((moved, after), w) in moved.zip(after.iter().skip(first)).zip(w.iter().skip(first)) {
            sum = sum.wrapping_add(i32::from(*moved).wrapping_mul(i32::from(*w)));
            if moved != after {
                return None;
            }
        }
        if sum != found {
            return None;
        }
    }
    let behind = memory * filters;
    (before.get(behind..)? == after.get(behind..)?).then_some(true)
}

/// Up to five rows; what lies between those of y stays, and of the last one there may be no more than is copied.
fn copies(random: &mut Random) -> Option<bool> {
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

/// Up to twenty numbers of all sizes, by multipliers with any shift; what lies behind them stays.
fn scaled(random: &mut Random) -> Option<bool> {
    let len = random.size(0, 20);
    let before = [0; 24].map(|_| match random.next() & 7 {
        0 => i32::MIN,
        1 => i32::MAX,
        _ => ((random.next() << 16 ^ random.next()) as i32) >> random.of(0, 31),
    });
    let mut after = before;
    let by = match random.next() & 7 {
        0 => Multiplier { mantissa: 0, shift: random.of(-31, 30) },
        1 => random.multiplier([0, 30]),
        _ => random.multiplier([-31, -1]),
    };
    Active::multiply_i32(after.get_mut(..len)?, by);
    let met =
        before.iter().zip(after).enumerate().all(|(at, (before, after))| {
            after == if at < len { fixed::multiply(*before, by) } else { *before }
        });
    met.then_some(true)
}

/// Up to nine multipliers, of which often one is not plain, by its mantissa or its shift.
fn plain(random: &mut Random) -> Option<bool> {
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

fn sums(random: &mut Random) -> Option<bool> {
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
    let run = if minus { Active::add_run_i8::<true> } else { Active::add_run_i8::<false> };
    if !Active::adds_i8(&p) || run(&p, from_a, from_b, y).is_none() {
        return Some(false);
    }
    let scaled = |x: i8, zero_point: i32, by| fixed::multiply((i32::from(x) - zero_point) << 20, by);
    let met = y.iter().zip(a).zip(b).all(|((y, a), b)| {
        let (a, b) = (scaled(*a, p.a_zero_point, p.a_multiplier), scaled(*b, p.b_zero_point, p.b_multiplier));
        *y == fixed::requantize(if minus { a.wrapping_sub(b) } else { a.wrapping_add(b) }, p.multiplier, &p.y)
    });
    met.then_some(true)
}

/// Products of reals with rows of weights, real or of bytes, for one pixel or two, of which some outputs are left after
/// tiles of any size.
fn products(random: &mut Random) -> Option<bool> {
    let (rows, taps, len) = (random.size(1, 20), random.size(1, 3), random.size(1, 40));
    let depth = taps * len;
    let (mut x, mut w, mut bias) = ([0.0; 120], [0.0; 20 * 120], [0.0; 20]);
    random.reals(&mut x);
    random.reals(&mut w);
    random.reals(&mut bias);
    let mut bytes = [0; 20 * 120];
    let of_bytes = random.next() & 1 == 0;
    if of_bytes {
        random.fill(&mut bytes, true);
        w.iter_mut().zip(bytes).for_each(|(w, byte)| *w = byte.into());
    }
    let (w, bytes) = (w.get(..rows * depth)?, bytes.get(..rows * depth)?);
    let [second, step] = [random.size(0, 40), random.size(1, 20)];
    let Patch { x, w_at, len, counts, x_steps, w_steps } = Patch {
        x: [x.as_slice(), x.get(second..)?],
        w_at: 0,
        len,
        counts: [1, 1, taps],
        x_steps: [0, 0, step],
        w_steps: [0, 0, len as isize],
    };
    let [mut y0, mut y1] = [bias; 2];
    let [y0, y1] = [y0.get_mut(..rows)?, y1.get_mut(..rows)?];
    let pixels = random.size(1, 2);
    if pixels == 2 {
        let (patch, mut y) = (Patch { x, w_at, len, counts, x_steps, w_steps }, [&mut *y0, &mut *y1]);
        match of_bytes {
            true => Active::gemm_rows_f32(&patch, bytes, depth, &mut y)?,
            false => Active::gemm_rows_f32(&patch, w, depth, &mut y)?,
        }
    } else {
        let (patch, mut y) = (Patch { x: [x[0]], w_at, len, counts, x_steps, w_steps }, [&mut *y0]);
        match of_bytes {
            true => Active::gemm_rows_f32(&patch, bytes, depth, &mut y)?,
            false => Active::gemm_rows_f32(&patch, w, depth, &mut y)?,
        }
    }
    for (x, y) in x.iter().zip([y0, y1]).take(pixels) {
        for ((w, y), bias) in w.chunks_exact(depth).zip(y).zip(bias) {
            let (mut sum, mut magnitude) = (bias, bias.abs());
            for (i, w) in w.iter().enumerate() {
                let (tap, i) = (i.checked_div(len)?, i.checked_rem(len)?);
                let product = x.get(tap * step + i)? * w;
                sum += product;
                magnitude += product.abs();
            }
            // Vectors add up in another order: either sum is rounded up to twice for a product.
            let bound =
                if cfg!(board = "mps3-an547") { depth as f32 * f32::EPSILON * magnitude } else { 0.0 };
            if (sum - *y).abs() > bound || y.is_nan() {
                return None;
            }
        }
    }
    Some(true)
}

/// Real products by channel.
fn products_by_channel(random: &mut Random) -> Option<bool> {
    let (channels, taps, step) = (random.size(8, 40), random.size(1, 5), random.size(0, 12));
    let (mut x, mut w, mut bias) = ([0.0; 100], [0.0; 5 * 40], [0.0; 40]);
    random.reals(&mut x);
    random.reals(&mut w);
    random.reals(&mut bias);
    let second = random.size(0, 12);
    let [mut y0, mut y1] = [bias; 2];
    let mut y = [y0.get_mut(..channels)?, y1.get_mut(..channels)?];
    let patch = Patch {
        x: [x.as_slice(), x.get(second..)?],
        w_at: 0,
        len: channels,
        counts: [1, 1, taps],
        x_steps: [0, 0, step],
        w_steps: [0, 0, channels as isize],
    };
    Active::depthwise_f32(&patch, &w, &mut y)?;
    for (x, y) in patch.x.iter().zip(&y) {
        for (channel, (y, bias)) in y.iter().zip(bias).enumerate() {
            let mut sum = bias;
            for tap in 0..taps {
                sum += x.get(tap * step + channel)? * w.get(tap * channels + channel)?;
            }
            if sum.to_bits() != y.to_bits() {
                return None;
            }
        }
    }
    Some(true)
}
