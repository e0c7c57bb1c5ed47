//! Edits of one record or section, each of which says where the fault lies.

use crate::file::{File, Section, Y, sample};
use flatpack_format::writer::{Draft, Memory, TensorDraft};
use flatpack_format::{
    CaseRecord, Header, MetaRecord, NameRecord, QuantRecord, ReceiptRecord, SectionKind, SectionRecord,
    StepRecord, TensorRecord,
};

/// Damages a tensor record; the record is at fault.
pub(super) fn tensor(file: &mut File, number: u32, edit: impl FnOnce(&mut TensorRecord)) -> u32 {
    edit(&mut file.tensors()[number as usize]);
    file.tensor_at(number)
}

pub(super) fn step(file: &mut File, number: usize, edit: impl FnOnce(&mut StepRecord)) -> u32 {
    edit(&mut file.steps()[number]);
    file.step_at(number)
}

pub(super) fn section(file: &mut File, kind: SectionKind, edit: impl FnOnce(&mut SectionRecord)) -> u32 {
    edit(file.section(kind));
    file.entry_at(kind)
}

pub(super) fn operand(file: &mut File, index: usize, number: u32) {
    file.records::<u32>(SectionKind::Operands)[index] = number;
}

pub(super) fn quant(file: &mut File, edit: impl FnOnce(&mut QuantRecord)) -> u32 {
    edit(&mut file.records::<QuantRecord>(SectionKind::Quant)[0]);
    file.at::<QuantRecord>(SectionKind::Quant, 0)
}

pub(super) fn golden(file: &mut File, index: usize, edit: impl FnOnce(&mut CaseRecord)) -> u32 {
    edit(&mut file.records::<CaseRecord>(SectionKind::Goldens)[index]);
    file.at::<CaseRecord>(SectionKind::Goldens, index)
}

pub(super) fn receipt(file: &mut File, index: usize, edit: impl FnOnce(&mut ReceiptRecord)) -> u32 {
    edit(&mut file.records::<ReceiptRecord>(SectionKind::Receipts)[index]);
    file.at::<ReceiptRecord>(SectionKind::Receipts, index)
}

pub(super) fn name(file: &mut File, index: usize, edit: impl FnOnce(&mut NameRecord)) -> u32 {
    edit(&mut file.records::<NameRecord>(SectionKind::Names)[index]);
    file.at::<NameRecord>(SectionKind::Names, index)
}

pub(super) fn meta(file: &mut File, index: usize, edit: impl FnOnce(&mut MetaRecord)) -> u32 {
    edit(&mut file.records::<MetaRecord>(SectionKind::Meta)[index]);
    file.at::<MetaRecord>(SectionKind::Meta, index)
}

/// Takes bytes off the end of a section, or adds zeros; the section's start is at fault.
pub(super) fn longer(file: &mut File, kind: SectionKind, by: isize) -> u32 {
    file.edit(kind, |bytes| bytes.resize(bytes.len().strict_add_signed(by), 0));
    file.section(kind).offset
}

pub(super) fn without(file: &mut File, kind: SectionKind) -> u32 {
    file.rebuild(|parts| parts.retain(|part| part.kind != kind as u16));
    0
}

/// Adds a section at the end.
pub(super) fn foreign(file: &mut File, kind: u16, critical: u16) -> u32 {
    file.rebuild(|parts| parts.push(Section { kind, critical, align: 32, bytes: b"?".to_vec() }));
    (size_of::<Header>() + (file.directory().len() - 1) * size_of::<SectionRecord>()) as u32
}

/// Starts from another draft than the sample.
pub(super) fn drafted(file: &mut File, edit: impl FnOnce(&mut Draft)) {
    let mut draft = sample();
    edit(&mut draft);
    *file = File::of(&draft);
}

/// Starts from a draft whose output lies in a far arena of 32 bytes.
pub(super) fn far(file: &mut File) {
    drafted(file, |draft| draft.tensors[Y as usize].memory = Memory::Far(0));
}

/// Adds a tensor like another to a draft, in other memory.
pub(super) fn add_like(draft: &mut Draft, number: u32, memory: Memory) -> u32 {
    let tensor = TensorDraft { name: None, memory, ..draft.tensors[number as usize].clone() };
    draft.tensors.push(tensor);
    draft.tensors.len() as u32 - 1
}
