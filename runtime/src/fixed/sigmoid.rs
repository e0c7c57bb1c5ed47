//! Logistic function and hyperbolic tangent of 16-bit integers, as TensorFlow Lite's reference kernels
//! have them: one table of the logistic function at steps of 1/24, with straight lines between.

/// `⌊65536 · (s + s · (1 − s) · (2s − 1) / 9216) + ½⌋` with `s = 1 / (1 + e^(−k / 24))`: the second term
/// is half of what a straight line to the neighbours is below the curve. The last two bound them all.
pub(crate) static TABLE: [u16; 257] = {
    // e^(−1 / 24)
    const STEP: f64 = 0.959_189_457_109_138_2;
    let mut table = [u16::MAX; 257];
    let (mut rest, mut power) = (table.as_mut_slice(), 1.0);
    while let [first, after @ ..] = rest {
        if after.len() < 2 {
            break;
        }
        let s = 1.0 / (1.0 + power);
        *first = (65536.0 * (s + s * (1.0 - s) * (2.0 * s - 1.0) / 9216.0) + 0.5) as u16;
        power *= STEP;
        rest = after;
    }
    table
};

/// The table's value at `x / 2^bits` steps, times `2^bits`, less that at 0: an odd function, but that each negative x has
/// 1 less.
#[inline(always)]
fn about_half(x: i32, bits: u32) -> i32 {
    let distance = x.unsigned_abs();
    let (_, from) = TABLE.split_at_checked((distance >> bits).min(255) as usize).unwrap_or_default();
    let [low, high, ..] = from else { return 0 };
    let (low, high) = (u32::from(*low), u32::from(*high));
    let between = distance & (1u32 << bits).wrapping_sub(1);
    let value = (low << bits).wrapping_add(between.wrapping_mul(high.wrapping_sub(low)));
    (value as i32).wrapping_sub(1 << 15 << bits) ^ x >> 31
}

/// `32768 / (1 + e^(−x / 4096))`.
#[inline]
pub fn logistic(x: i16) -> i16 {
    let x = i32::from(x).wrapping_mul(3);
    (about_half(x, 9).wrapping_add((1 << 24) + (1 << 9)) >> 10) as i16
}

/// `32768 · tanh(x · 2^(shift − 12))`, for shifts from −15 to 14.
#[inline]
pub fn tanh(x: i16, shift: i32) -> i16 {
    let x = i32::from(x).wrapping_mul(3);
    let right = shift.min(0).unsigned_abs() & 31;
    let half = if right > 0 { 1i32 << (right.wrapping_sub(1) & 31) } else { 0 };
    let x = x.wrapping_shl(shift.max(0) as u32).wrapping_add(half) >> right;
    (about_half(x, 8).wrapping_add(1 << 7) >> 8) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_functions_are_near_their_namesakes() {
        for x in i16::MIN..=i16::MAX {
            let real = f64::from(x) / 4096.0;
            let want = 32768.0 / (1.0 + (-real).exp());
            assert!((f64::from(logistic(x)) - want).abs() < 1.6, "{x}: {} for {want}", logistic(x));
            for shift in [-15, -4, -1, 0, 1, 3, 14] {
                let want = 32768.0 * (real * f64::from(shift).exp2()).tanh();
                assert!(
                    (f64::from(tanh(x, shift)) - want).abs() < 4.0,
                    "{x}, {shift}: {} {want}",
                    tanh(x, shift)
                );
            }
        }
    }

    #[test]
    fn the_table_is_that_of_the_published_kernels() {
        // Values of the published table where its rule and the plain function differ, and its ends.
        let published = [(0, 32768), (1, 33451), (4, 35493), (28, 49975), (35, 53169), (61, 60753)];
        for (at, value) in published.into_iter().chain([(116, 65019), (254, 65534), (255, 65535)]) {
            assert_eq!(TABLE[at], value, "{at}");
        }
        assert!(TABLE.is_sorted());
    }
}
