//! A model in flash that checks itself: goldens at boot, then a picture is classified. The log is by defmt.

#![no_std]
#![no_main]

use firmware_example::{checked, entry, exit, init};
use flatpack_runtime::{Session, include_model};
use heapless::binary_heap::{BinaryHeap, Max};
use static_cell::ConstStaticCell;

include_model!(DIGITS, "digits_cnn_int8.fpk");

static ARENA: ConstStaticCell<DIGITS::Arena> = ConstStaticCell::new(DIGITS::ARENA);

/// A nine, in 17 shades.
const PICTURE: [[u8; 8]; 8] = [
    [0, 0, 5, 15, 5, 0, 0, 0],
    [0, 0, 12, 11, 13, 8, 0, 0],
    [0, 0, 11, 9, 10, 16, 0, 0],
    [0, 0, 3, 15, 16, 16, 1, 0],
    [0, 0, 0, 0, 0, 14, 6, 0],
    [0, 0, 0, 0, 0, 13, 8, 0],
    [0, 0, 6, 3, 0, 14, 6, 0],
    [0, 0, 2, 13, 16, 15, 3, 0],
];

firmware_example::log_faults!();

#[entry]
fn main() -> ! {
    init();
    let session = ARENA.try_take().and_then(|arena| checked(DIGITS::load(arena)));
    exit(session.and_then(classify).is_some())
}

/// Logs the three most likely classes.
fn classify(mut session: Session<'_>) -> Option<()> {
    let pixels = DIGITS::INPUT.of(&mut session)?.iter_mut().zip(PICTURE.as_flattened());
    pixels.for_each(|(pixel, &shade)| *pixel = (i16::from(shade) * 255 / 16 - 128) as i8);
    session.run().map_err(|error| defmt::error!("{}", error)).ok()?;

    let mut likely = BinaryHeap::<(i8, usize), Max, 10>::new();
    for scored in DIGITS::OUTPUT.of(&session)?.iter().copied().zip(0..) {
        likely.push(scored).ok()?;
    }
    for _ in 0..3 {
        let (score, class) = likely.pop()?;
        defmt::info!("{=usize}: {=f32} %", class, (f32::from(score) + 128.0) / 2.56);
    }
    Some(())
}
