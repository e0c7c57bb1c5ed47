//! Loops over reals.

use super::random::Random;
use flatpack_runtime::arch::{Active, Arch, Patch};

/// Products of reals with rows of weights, real or of bytes, for one pixel or two, of which some outputs are left after
/// tiles of any size.
pub(crate) fn products(random: &mut Random) -> Option<bool> {
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
pub(crate) fn products_by_channel(random: &mut Random) -> Option<bool> {
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
