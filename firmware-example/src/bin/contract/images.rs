//! Loops over images and windows.

use super::random::{CHANNELS, Random, Weights};
use flatpack_runtime::arch::{Active, Arch, Image, Patch, Scratch};

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

pub(crate) fn conv_image(random: &mut Random) -> Option<bool> {
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

pub(crate) fn depthwise_image(random: &mut Random) -> Option<bool> {
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

pub(crate) fn depthwise(random: &mut Random) -> Option<bool> {
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

/// Up to fifteen taps of a window that sees all of x.
pub(crate) fn depthwise_window(random: &mut Random) -> Option<bool> {
    let (channels, taps) = (random.size(1, 40), random.size(1, 15));
    let weights = Weights::of(random);
    let outputs = weights.outputs(channels, random.next() & 3 == 0);
    let (mut x, mut y) = ([0; 15 * 40], [0; 40]);
    random.fill(&mut x, true);
    let [x, w] = [&x[..], &weights.w].map(|v| v.get(..taps * channels).unwrap_or_default());
    let y = y.get_mut(..channels)?;
    if Active::depthwise_window_i8(w, &outputs, x, y).is_none() {
        return Some(false);
    }
    for (channel, &y) in y.iter().enumerate() {
        let [x, w] = [x, w].map(|v| v.iter().skip(channel).step_by(channels));
        let sum = x.zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum();
        if weights.end(&outputs, channel, sum)? != y {
            return None;
        }
    }
    Some(true)
}

/// Sums over windows of pools, of which some have more taps of one extreme than lanes of 16 bits hold.
pub(crate) fn windows(random: &mut Random) -> Option<bool> {
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
