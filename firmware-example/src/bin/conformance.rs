//! A model in float32, then every operator's cases on integers: each is a model that checks itself, bit for bit,
//! and is computed once more row by row, and by lean kernels as far as they take it.

#![no_std]
#![no_main]

use defmt::{error, println};
use firmware_example::{checked, entry, exit, init};
use flatpack_runtime::golden::Divergence;
use flatpack_runtime::{Aligned, Block, Kernel, Progress, RunError, Session, include_model, ops};
use static_cell::ConstStaticCell;

include_model!(DIGITS, "digits_cnn.fpk");

/// Made by `cargo run -p flatpack --example conformance`.
const BYTES: &[u8] = include_bytes!(env!("FLATPACK_CONFORMANCE_PATH"));
// SAFETY: the section holds constants; a board with little flash has it elsewhere.
#[unsafe(link_section = ".rodata.large")]
static PACK: Aligned<[u8; BYTES.len()]> = Aligned(*include_bytes!(env!("FLATPACK_CONFORMANCE_PATH")));

/// Kernels of less code, which refuse some steps.
static LEAN: [Kernel; 7] = [
    ops::add_i8::LEAN,
    ops::average_pool_2d_i8::LEAN,
    ops::conv_2d_i8::LEAN,
    ops::depthwise_conv_2d_i8::LEAN,
    ops::depthwise_conv_2d_i8::ONE_WINDOW,
    ops::fully_connected_i8::LEAN,
    ops::fully_connected_i8::ONE_ROW,
];

const BLOCKS: usize = 2 << 10;
static ARENA: ConstStaticCell<[Block; BLOCKS]> = ConstStaticCell::new([Block::ZERO; BLOCKS]);

firmware_example::log_faults!();

#[entry]
fn main() -> ! {
    init();
    exit(ARENA.try_take().is_some_and(|arena| run(Block::bytes_mut(arena))))
}

/// Whether the model and all cases are met.
fn run(arena: &mut [u8]) -> bool {
    let floats = checked(Session::from_file(DIGITS::FILE, ops::ALL, arena)).is_some();
    let (mut rest, mut met, mut missed, mut lean) = (&PACK.0[..], 0, 0, [0; LEAN.len()]);
    while let Some((name, file, after)) = next(rest) {
        rest = after;
        let session = Session::from_file(file, ops::ALL, arena);
        let by_rows =
            session.map(|mut session| session.check_goldens().map(|_| is_met_by_rows(&mut session)));
        match by_rows {
            Ok(Ok(Some(true))) => met += 1,
            other => {
                missed += 1;
                error!("{=str}: {}", name, other);
            }
        }
        for (kernel, met) in LEAN.iter().zip(&mut lean) {
            // Most cases are of other operators.
            let Ok(mut session) = Session::from_file(file, core::slice::from_ref(kernel), arena) else {
                continue;
            };
            match session.check_goldens() {
                Ok(_) => *met += 1,
                Err(Divergence::Run(RunError::Refused { .. })) => {}
                Err(other) => {
                    missed += 1;
                    error!("{=str}, by a lean kernel: {}", name, other);
                }
            }
        }
    }
    println!("{=u32} cases met, {=u32} missed", met, missed);
    floats && missed == 0 && met > 0 && !lean.contains(&0) && rest.is_empty()
}

/// Whether the goldens are met where each call computes one row.
fn is_met_by_rows(session: &mut Session<'_>) -> Option<bool> {
    for case in session.model().cases() {
        session.reset();
        for (index, (_, values)) in case.inputs().enumerate() {
            session.input_bytes(index)?.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
        }
        while session.step_within(1).ok()? == Progress::Running {}
        for (index, (_, want)) in case.outputs().enumerate() {
            if session.output_bytes(index)? != want {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// A case's name and file, and what follows.
fn next(pack: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (header, rest) = pack.split_at_checked(48)?;
    let (len, name) = header.split_first_chunk()?;
    let len = u32::from_le_bytes(*len) as usize;
    let name = core::str::from_utf8(name).ok()?.trim_end_matches('\0');
    Some((name, rest.get(..len)?, rest.get(len.next_multiple_of(16)..)?))
}
