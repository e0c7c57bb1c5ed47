//! Every operator's cases on this chip: each is a model that checks itself, bit for bit.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use firmware_example::exit;
use flatpack_runtime::{Aligned, Block, Model, Session, ops};

/// Made by `cargo run -p flatpack --example conformance`.
static PACK: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("FLATPACK_CONFORMANCE_PATH")));

const ARENA_BLOCKS: usize = 2 << 10;

#[entry]
fn main() -> ! {
    let arena = cortex_m::singleton!(: [Block; ARENA_BLOCKS] = [Block::ZERO; ARENA_BLOCKS]);
    let met = arena.is_some_and(|arena| run(Block::bytes_mut(arena)));
    exit(met)
}

/// Whether all cases are met.
fn run(arena: &mut [u8]) -> bool {
    let (mut rest, mut met, mut missed) = (&PACK.0, 0, 0);
    while let Some((name, file, after)) = next(rest) {
        rest = after;
        let result = Model::parse(file).map(|model| {
            Session::load(model, ops::ALL, arena).map(|mut session| session.check_goldens().map(|_| ()))
        });
        match result {
            Ok(Ok(Ok(()))) => met += 1,
            other => {
                missed += 1;
                hprintln!("{}: {:?}", name, other);
            }
        }
    }
    hprintln!("{} cases met, {} missed", met, missed);
    missed == 0 && met > 0 && rest.is_empty()
}

/// A case's name and file, and what follows.
fn next(pack: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (header, rest) = pack.split_at_checked(48)?;
    let (len, name) = header.split_first_chunk()?;
    let len = u32::from_le_bytes(*len) as usize;
    let name = core::str::from_utf8(name).ok()?.trim_end_matches('\0');
    Some((name, rest.get(..len)?, rest.get(len.next_multiple_of(16)..)?))
}
