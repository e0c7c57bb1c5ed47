//! Bins of integers: `y[i…] = h(x[i…]) mod bins`, where h hashes the decimal digits of x, rounded towards zero, as
//! TensorFlow's `to_hash_bucket_fast` (FarmHash's Fingerprint64) and `to_hash_bucket_strong` (SipHash-2-4 with a key)
//! do.
//!
//! | operand | dtype | shape | layouts |
//! |---------|-------|-------|---------|
//! | x       | f32   | any   | rows    |
//! | y       | f32   | x's   | rows    |
//!
//! What is beyond the integers of 64 bits is the nearest of them; a NaN is 0. The rule proves the shapes, and that
//! there is a bin and no more than float32 can count; y may lie in the place of x.

use flatpack_format::ops::hash::{HashParams, RULE};

super::unary::kernel!(Hash, RULE, HashParams, |p: &HashParams, x: f32| {
    let mut text = [0; LONGEST];
    let digits = decimal(x as i64, &mut text);
    let [a, b, c, d] = p.key;
    let hash = if p.keyed == 0 { fingerprint(digits) } else { sip_hash([pair(a, b), pair(c, d)], digits) };
    hash.checked_rem(p.bins.into()).unwrap_or(0) as f32
});

/// Characters of −2⁶³.
const LONGEST: usize = 20;

fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The digits of a number, with a minus if it is negative, at the end of `text`.
fn decimal(number: i64, text: &mut [u8; LONGEST]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut first = text.len();
    for (at, character) in text.iter_mut().enumerate().rev() {
        if rest == 0 && first < LONGEST {
            if number < 0 {
                (*character, first) = (b'-', at);
            }
            break;
        }
        (*character, first) = (b'0' + (rest % 10) as u8, at);
        rest /= 10;
    }
    text.get(first..).unwrap_or_default()
}

/// Up to eight bytes, the first one lowest.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Fingerprint64 of FarmHash (Pike, 2014: `farmhashna::Hash64`), for what has 1 to 32 bytes.
fn fingerprint(text: &[u8]) -> u64 {
    const K: [u64; 3] = [0xc3a5_c85c_97cb_3127, 0xb492_b66f_be98_f273, 0x9ae1_6a3b_2f90_404f];
    let length = text.len() as u64;
    // `count` bytes from `skip` on, or the last but `skip`.
    let from = |skip: usize, count: usize| {
        word(text.get(skip..).unwrap_or_default().get(..count).unwrap_or_default())
    };
    let back = |skip: usize, count: usize| from(text.len().saturating_sub(skip + count), count);
    let factor = K[2].wrapping_add(2 * length);
    match text.len() {
        0..4 => {
            let (first, middle, last) = (from(0, 1), from(text.len() / 2, 1), back(0, 1));
            let mixed =
                (first + (middle << 8)).wrapping_mul(K[2]) ^ (length + (last << 2)).wrapping_mul(K[0]);
            fold(mixed).wrapping_mul(K[2])
        }
        4..8 => mix(length + (from(0, 4) << 3), back(0, 4), factor),
        8..=16 => {
            let (a, b) = (from(0, 8).wrapping_add(K[2]), back(0, 8));
            let c = b.rotate_right(37).wrapping_mul(factor).wrapping_add(a);
            mix(c, a.rotate_right(25).wrapping_add(b).wrapping_mul(factor), factor)
        }
        _ => {
            let (a, b) = (from(0, 8).wrapping_mul(K[1]), from(8, 8));
            let (c, d) = (back(0, 8).wrapping_mul(factor), back(8, 8).wrapping_mul(K[2]));
            let left = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
            let right = a.wrapping_add(b.wrapping_add(K[2]).rotate_right(18)).wrapping_add(c);
            mix(left, right, factor)
        }
    }
}

fn fold(x: u64) -> u64 {
    x ^ x >> 47
}

/// Two words to one.
fn mix(a: u64, b: u64, factor: u64) -> u64 {
    let a = fold((a ^ b).wrapping_mul(factor));
    fold((b ^ a).wrapping_mul(factor)).wrapping_mul(factor)
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012).
fn sip_hash([k0, k1]: [u64; 2], text: &[u8]) -> u64 {
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut rest = text;
    while let Some((block, after)) = rest.split_at_checked(8) {
        absorb(&mut v, word(block));
        rest = after;
    }
    absorb(&mut v, word(rest) | (text.len() as u64) << 56);
    v[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn absorb(v: &mut [u64; 4], block: u64) {
    v[3] ^= block;
    (0..2).for_each(|_| round(v));
    v[0] ^= block;
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{EDGES, input, noise, refusal, run, run_in_place, whole};
    use bytemuck::bytes_of;
    use flatpack_format::{DType, Misfit, OpCode};
    use proptest::prelude::*;
    use std::vec::Vec;

    const PLAIN: HashParams = HashParams { bins: 16_777_213, keyed: 0, key: [0; 4] };

    /// Of TensorFlow 2.21: integers; `to_hash_bucket_fast(as_string(x), 16777213)`; `to_hash_bucket_strong`
    /// likewise with the key (133, 137), and with (−1, 2⁴⁰) and 2²⁴ bins.
    const RECORDED: [(f32, [u32; 3]); 27] = [
        (0.0, [4_915_787, 3_271_379, 12_904_188]),
        (1.0, [3_687_470, 3_019_895, 7_425_542]),
        (-1.0, [3_172_659, 11_446_411, 3_259_653]),
        (7.0, [2_710_500, 16_619_957, 7_239_462]),
        (42.0, [16_522_741, 9_365_497, 14_571_700]),
        (-42.0, [4_385_116, 6_806_737, 15_749_842]),
        (100.0, [5_085_731, 4_491_091, 14_060_988]),
        (-999.0, [8_410_505, 14_587_003, 245_066]),
        (1234.0, [7_170_101, 4_149_872, 7_260_217]),
        (-1234.0, [11_654_338, 16_313_506, 118_586]),
        (65_535.0, [15_596_158, 288_492, 4_319_600]),
        (123_456.0, [14_879_032, 5_060_178, 14_305_876]),
        (-1_234_567.0, [3_156_815, 15_564_567, 7_896_279]),
        (9_999_999.0, [1_033_957, 15_144_902, 16_759_491]),
        (10_000_000.0, [2_569_612, 10_023_391, 12_591_314]),
        (16_777_216.0, [5_646_067, 9_724_061, 14_944_410]),
        (-16_777_216.0, [6_599_374, 427_141, 7_514_944]),
        (99_999_744.0, [6_654_937, 11_763_097, 16_235_196]),
        (1_073_741_824.0, [15_160_112, 9_576_057, 7_796_248]),
        (-2_147_483_648.0, [2_961_097, 3_941_210, 2_951_543]),
        (10_000_000_000.0, [4_154_174, 8_272_037, 16_283_813]),
        (-4_503_599_627_370_496.0, [13_918_355, 11_636_892, 7_543_021]),
        (9_007_199_254_740_992.0, [16_640_630, 8_394_133, 16_619_477]),
        (72_057_594_037_927_936.0, [14_447_582, 4_236_338, 3_128_824]),
        (-576_460_752_303_423_488.0, [8_100_691, 10_388_862, 5_319_012]),
        (4_611_686_018_427_387_904.0, [13_671_152, 3_310_444, 1_335_649]),
        (-9_223_372_036_854_775_808.0, [6_176_942, 5_802_937, 2_908_425]),
    ];

    #[test]
    fn the_bins_are_those_of_tensorflow() {
        let (values, bins): (Vec<f32>, Vec<[u32; 3]>) = RECORDED.into_iter().unzip();
        let x = [input(&[values.len() as u32], &values)];
        let cases = [
            PLAIN,
            HashParams { keyed: 1, key: [133, 0, 137, 0], ..PLAIN },
            HashParams { bins: 1 << 24, keyed: 1, key: [u32::MAX, u32::MAX, 0, 1 << 8] },
        ];
        for (case, params) in cases.iter().enumerate() {
            let want: Vec<f32> = bins.iter().map(|bins| bins[case] as f32).collect();
            assert_eq!(run(OpCode::Hash, bytes_of(params), &x), want);
            assert_eq!(run_in_place(OpCode::Hash, bytes_of(params), &x, 0), want);
        }
    }

    fn bins_of(values: &[f32]) -> Vec<f32> {
        run(OpCode::Hash, bytes_of(&PLAIN), &[input(&[values.len() as u32], values)])
    }

    #[test]
    fn what_is_no_integer_is_rounded_towards_zero_and_into_64_bits() {
        let near = [0.9, -0.9, -0.0, f32::NAN, -1.5, f32::INFINITY, 1e30, f32::NEG_INFINITY, -1e30];
        let (first, last) = (6_176_942.0, 14_423_402.0);
        let zero = 4_915_787.0;
        assert_eq!(bins_of(&near), [zero, zero, zero, zero, 3_172_659.0, last, last, first, first]);
    }

    proptest! {
        #[test]
        fn a_bin_is_one_of_them(values in prop::collection::vec(prop::num::f32::ANY, 1..60), bins in 1..=1u32 << 24) {
            let values = [&values[..], &EDGES].concat();
            let x = [input(&[values.len() as u32], &values)];
            for keyed in 0..2 {
                let y = run(OpCode::Hash, bytes_of(&HashParams { bins, keyed, key: [1, 2, 3, 4] }), &x);
                prop_assert!(y.iter().all(|&y| y.fract() == 0.0 && (0.0..bins as f32).contains(&y)));
            }
        }

        #[test]
        fn digits_are_those_that_rust_prints(number: i64, shift in 0..64) {
            let mut text = [0; LONGEST];
            for number in [number >> shift, 0, i64::MIN, i64::MAX] {
                let want = std::format!("{number}");
                prop_assert_eq!(decimal(number, &mut text), want.as_bytes());
            }
        }

        #[test]
        #[expect(deprecated, reason = "the standard library's SipHash-2-4")]
        fn the_keyed_hash_is_that_of_the_standard_library(key: [u64; 2], text in prop::collection::vec(any::<u8>(), 0..40)) {
            use std::hash::Hasher;
            let mut hasher = std::hash::SipHasher::new_with_keys(key[0], key[1]);
            hasher.write(&text);
            prop_assert_eq!(sip_hash(key, &text), hasher.finish());
        }
    }

    #[test]
    fn no_bins_more_than_float32_counts_and_other_hashes_are_refused() {
        let x = [noise(&[2], 1)];
        for params in [
            HashParams { bins: 0, ..PLAIN },
            HashParams { bins: (1 << 24) + 1, ..PLAIN },
            HashParams { keyed: 2, ..PLAIN },
        ] {
            assert_eq!(refusal(OpCode::Hash, bytes_of(&params), &x, None), Misfit::Params);
        }
    }

    #[test]
    fn integers_are_refused() {
        assert_eq!(
            refusal(OpCode::Hash, bytes_of(&PLAIN), &[whole(&[3], 1, DType::I32)], None),
            Misfit::DType(0)
        );
    }
}
