//! A model in float32, then every operator's cases on integers: each is a model that checks itself, bit for bit,
//! and is computed once more row by row, and by lean kernels.

#![no_std]
#![no_main]

use defmt::{error, println};
use firmware_example::{checked, entry, exit, init};
use flatpack_runtime::golden::Divergence;
use flatpack_runtime::{Aligned, Block, Kernel, OpCode, Progress, RunError, Session, include_model, ops};
use static_cell::ConstStaticCell;

include_model!(DIGITS, "digits_cnn.fpk");

/// Made by `cargo run -p flatpack --example conformance`.
const BYTES: &[u8] = include_bytes!(env!("FLATPACK_CONFORMANCE_PATH"));
// SAFETY: the section holds constants; a board with little flash has it elsewhere.
#[unsafe(link_section = ".rodata.large")]
static PACK: Aligned<[u8; BYTES.len()]> = Aligned(*include_bytes!(env!("FLATPACK_CONFORMANCE_PATH")));

/// All kernels, those that have one by their lean variant.
static LEAN: [Kernel; ops::ALL.len()] = lean(ops::fully_connected_i8::LEAN);

/// The same, for steps of one row.
static ONE_ROW: [Kernel; ops::ALL.len()] = lean(ops::fully_connected_i8::ONE_ROW);

const fn lean(fully_connected: Kernel) -> [Kernel; ops::ALL.len()] {
    let mut kernels = [fully_connected; ops::ALL.len()];
    let mut at = 0;
    while at < kernels.len() {
        kernels[at] = match ops::ALL[at].op {
            OpCode::Conv2dI8 => ops::conv_2d_i8::LEAN,
            OpCode::DepthwiseConv2dI8 => ops::depthwise_conv_2d_i8::LEAN,
            OpCode::FullyConnectedI8 => fully_connected,
            _ => ops::ALL[at],
        };
        at += 1;
    }
    kernels
}

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
    let (mut rest, mut met, mut missed, mut one_row) = (&PACK.0[..], 0, 0, 0);
    while let Some((name, file, after)) = next(rest) {
        rest = after;
        let session = Session::from_file(file, ops::ALL, arena);
        let by_rows =
            session.map(|mut session| session.check_goldens().map(|_| is_met_by_rows(&mut session)));
        let lean = Session::from_file(file, &LEAN, arena).map(|mut session| session.check_goldens());
        match (by_rows, lean) {
            (Ok(Ok(Some(true))), Ok(Ok(_))) => met += 1,
            other => {
                missed += 1;
                error!("{=str}: {}", name, other);
            }
        }
        if name.starts_with("fully_connected ") {
            let session = Session::from_file(file, &ONE_ROW, arena);
            match session.map(|mut session| session.check_goldens()) {
                Ok(Ok(_)) => one_row += 1,
                // It has more rows, or weights in another layout.
                Ok(Err(Divergence::Run(RunError::Refused { .. }))) => {}
                other => {
                    missed += 1;
                    error!("{=str}, by one row: {}", name, other);
                }
            }
        }
    }
    println!("{=u32} cases met, {=u32} missed", met, missed);
    floats && missed == 0 && met > 0 && one_row > 0 && rest.is_empty()
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
