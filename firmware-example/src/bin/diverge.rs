//! A chip that computes something else than the host says from which step on: one bit of the weights of each
//! step is flipped in turn, and the checksums are made to fit, so that only the goldens can tell.

#![no_std]
#![no_main]

use core::mem::offset_of;
use defmt::{error, info};
use firmware_example::{entry, exit, init};
use flatpack_format::{Header, SectionKind, SectionRecord, crc32};
use flatpack_runtime::golden::Divergence;
use flatpack_runtime::{Aligned, Block, Model, Place, Session, include_model};
use static_cell::ConstStaticCell;

include_model!(DIGITS, "digits_cnn_int8.fpk");

const BYTES: &[u8] = include_bytes!("../../digits_cnn_int8.fpk");

/// The file in memory that can be written.
static COPY: ConstStaticCell<Aligned<[u8; BYTES.len()]>> = ConstStaticCell::new(Aligned([0; BYTES.len()]));
static ARENA: ConstStaticCell<DIGITS::Arena> = ConstStaticCell::new(DIGITS::ARENA);

firmware_example::log_faults!();

#[entry]
fn main() -> ! {
    init();
    let memory = COPY.try_take().zip(ARENA.try_take());
    exit(memory.is_some_and(|(copy, arena)| run(&mut copy.0, Block::bytes_mut(arena)).is_some()))
}

fn run(copy: &mut [u8], arena: &mut [u8]) -> Option<()> {
    let model = Model::parse(DIGITS::FILE).ok()?;
    for step in model.steps() {
        let Some(weights) = step.inputs().find(|tensor| tensor.place() == Place::Constant) else { continue };
        let at = (weights.offset() + weights.bytes() / 2) as usize;
        copy.iter_mut().zip(DIGITS::FILE).for_each(|(to, from)| *to = *from);
        *copy.get_mut(at)? ^= 0x40;
        let changed = Model::parse(copy).ok()?.check_contents().err()?;
        info!("step {=u32} {=str}, byte {=usize:#x}: {}", step.number(), step.op().name(), at, changed);

        repair(copy, &model)?;
        let mut session = Session::from_file(copy, DIGITS::KERNELS, arena).ok()?;
        session.model().check_contents().ok()?;
        match session.check_goldens() {
            Err(divergence @ Divergence::Digest { step: found, .. }) if found == step.number() => {
                info!("with its checksum repaired: {}", divergence);
            }
            other => {
                error!("the goldens say otherwise: {}", other);
                return None;
            }
        }
    }
    Some(())
}

/// Writes the checksums that the weights and the section directory have now.
fn repair(file: &mut [u8], model: &Model<'_>) -> Option<()> {
    let number = model.sections().iter().position(|section| section.kind == SectionKind::Weights as u16)?;
    let section = model.sections().get(number)?;
    let weights = file.get(section.offset as usize..)?.get(..section.bytes as usize)?;
    let record = size_of::<Header>() + number * size_of::<SectionRecord>();
    put(file, record + offset_of!(SectionRecord, crc32), crc32(weights))?;

    put(file, offset_of!(Header, header_crc32), 0)?;
    let directory = file.get(..size_of::<Header>() + size_of_val(model.sections()))?;
    put(file, offset_of!(Header, header_crc32), crc32(directory))
}

fn put(file: &mut [u8], at: usize, value: u32) -> Option<()> {
    *file.get_mut(at..)?.first_chunk_mut()? = value.to_le_bytes();
    Some(())
}
