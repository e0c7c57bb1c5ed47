//! Files with wrong bytes: what a file's seed and a number make of it, the same on every machine.

/// Numbers that look random: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Words that sizes, counts, offsets, scales and zero points break at.
const WORDS: [u32; 16] = [
    0,
    1,
    2,
    127,
    128,
    255,
    256,
    0xffff,
    0x1_0000,
    0x3fff_ffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ff80,
    0xffff_ffff,
    0x7f80_0000,
    0x0080_0000,
];

/// A file with one to four changes.
pub(crate) fn mutated(whole: &[u8], seed: u64, number: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ number);
    let mut bytes = whole.to_vec();
    // Most of a file are weights, whose changes say little: half of the changes are near its ends.
    let edge = random.next().is_multiple_of(2).then_some(4096);
    for _ in 0..=random.below(4) {
        change(&mut bytes, &mut random, edge);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, random: &mut Random, edge: Option<usize>) {
    let len = bytes.len();
    let at = match edge {
        Some(edge) if len > 2 * edge => (random.below(2 * edge) + len - edge) % len,
        _ => random.below(len),
    };
    // Fields of a flatbuffer lie at multiples of their size.
    let word = at / 4 * 4;
    match random.below(9) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        2 | 3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = [0, 0xff, 0x80, 0x7f, random.next() as u8][random.below(5)];
            }
        }
        4 => write(bytes, word, WORDS[random.below(WORDS.len())].to_le_bytes()),
        5 => {
            let near = random.below(65) as u32;
            write(bytes, word, near.wrapping_sub(32).to_le_bytes());
        }
        6 => {
            let other = random.below(len) / 4 * 4;
            if let Some(&found) = bytes.get(other..).and_then(|rest| rest.first_chunk::<4>()) {
                write(bytes, word, found);
            }
        }
        7 => {
            let (from, size) = (random.below(len), 1 + random.below(64));
            let stretch: Vec<u8> = bytes.iter().skip(from).take(size).copied().collect();
            bytes.iter_mut().skip(at).zip(stretch).for_each(|(to, from)| *to = from);
        }
        _ => {
            // A cut leaves little to look at: one in eight of those drawn.
            if random.below(8) == 0 {
                bytes.truncate(at);
            }
        }
    }
}

fn write(bytes: &mut [u8], at: usize, word: [u8; 4]) {
    bytes.iter_mut().skip(at).zip(word).for_each(|(to, from)| *to = from);
}
