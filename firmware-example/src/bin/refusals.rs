//! What goes wrong on real boards: flash that is cut off, erased or of something else, memory that is too
//! small or lies askew, a kernel that was not linked. Each is an error that says so; nothing panics or faults.

#![no_std]
#![no_main]

use defmt::{error, info, println};
use firmware_example::stack::Stack;
use firmware_example::{entry, exit, init};
use flatpack_runtime::{Aligned, Block, Kernel, Session, include_model};
use static_cell::ConstStaticCell;

include_model!(DIGITS, "digits_cnn_int8.fpk");

static ARENA: ConstStaticCell<DIGITS::Arena> = ConstStaticCell::new(DIGITS::ARENA);
static ERASED: Aligned<[u8; 4096]> = Aligned([0xff; 4096]);

firmware_example::log_faults!();

#[entry]
fn main() -> ! {
    init();
    exit(ARENA.try_take().is_some_and(|arena| run(Block::bytes_mut(arena)).is_some()))
}

fn run(arena: &mut [u8]) -> Option<()> {
    let stack = Stack::paint();
    let (file, kernels) = (DIGITS::FILE, DIGITS::KERNELS);
    refused("flash that was erased", &ERASED.0, kernels, arena)?;
    refused("a partition cut off", file.get(..file.len() / 2)?, kernels, arena)?;
    refused("a partition of nothing", file.get(..0)?, kernels, arena)?;
    refused("a file that lies askew", file.get(4..)?, kernels, arena)?;
    refused("16 bytes too far", file.get(16..)?, kernels, arena)?;
    refused("an arena one byte short", file, kernels, arena.split_last_mut()?.1)?;
    refused("an arena that lies askew", file, kernels, arena.get_mut(1..)?)?;
    refused("a kernel that is not linked", file, kernels.split_last()?.1, arena)?;

    // Wherever a file ends too soon, it is refused.
    for bytes in 0..file.len() {
        if Session::from_file(file.get(..bytes)?, kernels, arena).is_ok() {
            error!("{=usize} bytes of it are taken for the file", bytes);
            return None;
        }
    }
    info!("none of the {=usize} files that end too soon is taken", file.len());

    // Noise behind the right magic bytes.
    let mut noise = Aligned([0; 256]);
    for seed in 1..=1000 {
        let mut state: u32 = seed;
        for byte in noise.0.iter_mut() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        noise.0.iter_mut().zip(file.get(..8)?).for_each(|(to, from)| *to = *from);
        if Session::from_file(&noise.0, kernels, arena).is_ok() {
            error!("noise {=u32} is taken for a file", seed);
            return None;
        }
    }
    info!("nor is noise");

    Session::from_file(file, kernels, arena).ok()?.check_goldens().ok()?;
    info!("the file itself is");
    println!("stack bytes {=u32}", stack.bytes());
    Some(())
}

/// Logs why a file does not load.
fn refused(what: &str, file: &[u8], kernels: &[Kernel], arena: &mut [u8]) -> Option<()> {
    match Session::from_file(file, kernels, arena) {
        Err(error) => info!("{=str}: {}", what, error),
        Ok(_) => {
            error!("{=str} is taken", what);
            return None;
        }
    }
    Some(())
}
