//! CRC-32 (the one of PNG, zip and Ethernet), four bits at a time: a table of 64 bytes, no panic path.

/// Remainders of the 16 values of four bits, for the reflected polynomial 0xEDB88320.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler evaluates it, and would refuse an index past the end"
)]
const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut value = 0;
    while value < 16 {
        let mut remainder = value as u32;
        let mut bit = 0;
        while bit < 4 {
            remainder = (remainder >> 1) ^ if remainder & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        table[value] = remainder;
        value += 1;
    }
    table
};

/// A checksum under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc32(u32);

#[inline(always)]
fn eight_bits(crc: u32) -> u32 {
    let four_bits = |crc: u32| crc >> 4 ^ TABLE.get((crc & 15) as usize).copied().unwrap_or(0);
    four_bits(four_bits(crc))
}

impl Crc32 {
    pub(crate) const fn new() -> Self {
        Self(!0)
    }

    /// Takes in more bytes.
    pub(crate) fn update(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.0 = eight_bits(eight_bits(eight_bits(eight_bits(self.0 ^ u32::from_le_bytes(*word)))));
        }
        for &byte in rest {
            self.0 = eight_bits(self.0 ^ u32::from(byte));
        }
        self
    }

    /// The checksum of all bytes taken in.
    pub(crate) const fn finish(self) -> u32 {
        !self.0
    }
}

/// The CRC-32 of these bytes, as in PNG and zlib.
pub fn crc32(bytes: &[u8]) -> u32 {
    Crc32::new().update(bytes).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_check_value_is_that_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    proptest! {
        #[test]
        fn it_agrees_with_crc32fast(bytes: Vec<u8>, at: prop::sample::Index) {
            prop_assert_eq!(crc32(&bytes), crc32fast::hash(&bytes));
            let (first, second) = bytes.split_at(at.index(bytes.len() + 1));
            prop_assert_eq!(Crc32::new().update(first).update(second).finish(), crc32fast::hash(&bytes));
        }
    }
}
