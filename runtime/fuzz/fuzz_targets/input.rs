//! What the fuzzer gives, as a file in aligned memory.

use flatpack_format::{Block, Header, MAGIC, SectionRecord, VERSION};

/// The bytes as they are.
pub fn aligned(data: &[u8]) -> Vec<Block> {
    let mut blocks = vec![Block::ZERO; Block::count(data.len())];
    Block::bytes_mut(&mut blocks)[..data.len()].copy_from_slice(data);
    blocks
}

/// The bytes with a header that passes the first rules, so that the others are reached.
pub fn repaired(data: &[u8]) -> Option<Vec<Block>> {
    let mut blocks = aligned(data);
    let bytes = &mut Block::bytes_mut(&mut blocks)[..data.len()];
    let (header, rest) = bytes.split_at_mut_checked(size_of::<Header>())?;
    let header: &mut Header = bytemuck::from_bytes_mut(header);
    let directory = rest.get(..(header.section_count as usize).checked_mul(size_of::<SectionRecord>())?)?;
    header.magic = MAGIC;
    header.version = VERSION;
    header.file_bytes = data.len() as u32;
    header.header_crc32 = 0;
    let mut crc = crc32fast::Hasher::new();
    crc.update(bytemuck::bytes_of(header));
    crc.update(directory);
    header.header_crc32 = crc.finalize();
    Some(blocks)
}

/// Changes some words where they are: lengths and offsets of a file hang together, so that bytes
/// put in or taken out rarely get past the first rules.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut state = u64::from(seed) << 1 | 1;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    if size < 4 || random(4) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let (words, _) = data[..size].as_chunks_mut::<4>();
    for _ in 0..=random(3) {
        let [at, from] = [random(words.len()), random(words.len())];
        let was = u32::from_le_bytes(words[at]);
        let value = match random(8) {
            0 => was.wrapping_add(1 + random(32) as u32),
            1 => was.wrapping_sub(1 + random(32) as u32),
            2 => was ^ 1 << random(32),
            3 => random(8) as u32,
            4 => u32::MAX - random(64) as u32,
            5 => [0.0, -0.0, 1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-40][random(8)]
                .to_bits(),
            6 => 1 << random(32),
            _ => u32::from_le_bytes(words[from]),
        };
        words[at] = value.to_le_bytes();
    }
    size
}
