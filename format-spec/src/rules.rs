//! The validity rules: one function each, numbered as in `SPEC.md`.

use crate::crc32::{Crc32, crc32};
use crate::golden::{CaseRecord, ReceiptRecord};
use crate::header::{Features, Header, MAX_MODEL_INPUTS, Target};
use crate::meta::{MetaRecord, NameKind, NameRecord, StringRef};
use crate::model::{Model, Tensor};
use crate::op::{MAX_INPUTS, MAX_WRITES, OpCode, StepRecord};
use crate::quant::QuantRecord;
use crate::section::{SectionKind, SectionRecord};
use crate::tensor::{DType, Layout, Place, TensorRecord};
use crate::{ALIGN, MAGIC, PANEL, VERSION};

macro_rules! rules {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)*) => {
        /// A validity rule. The number is that of its chapter in `SPEC.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Rule { $(#[doc = $text] $name),* }
        impl Rule {
            /// All rules, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// Its number, such as `V07`.
            pub const fn number(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
            /// What it demands.
            pub const fn demand(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

rules! {
    V01 = "the file is as long as its header says";
    V02 = "the file starts with the magic bytes";
    V03 = "the format version is one that this reader knows";
    V04 = "the header and the section directory have their checksum";
    V05 = "the file lies in memory at an address that is a multiple of 16";
    V06 = "the header holds known values only";
    V07 = "the section directory lies in the file and lists sections ascending, each once, none of them critical and unknown";
    V08 = "sections follow each other, without holes, to the end of the file";
    V09 = "sections of records hold whole records, and the required ones are there";
    V10 = "a tensor has a known type, place and layout, a shape, and the size that these make";
    V11 = "a tensor lies within its place, aligned";
    V12 = "constants follow each other, without holes, through the weights section";
    V13 = "a step has a known operator, an output, and the parameters that the operator takes";
    V14 = "operands are numbers of tensors, those of each step following those of the one before";
    V15 = "parameter records follow each other, without holes, through their section";
    V16 = "a step writes at most 8 tensors, each in memory of its own; only an output may take the place of an input, and then exactly";
    V17 = "inputs and outputs are arena tensors, and no two inputs share memory";
    V18 = "the header sums up the steps and tensors: operators, arena, scratch, state";
    V19 = "a quantisation record has a positive scale, and scales that exist and fit the tensors that use it";
    V20 = "the initial state is as long as the state memory";
    V21 = "a golden's data are as long as the inputs and outputs, and its tolerances are numbers";
    V22 = "a receipt names a step and elements that exist, ascending, and is exact or not";
    V23 = "names belong to tensors and steps that exist, ascending, and are UTF-8 texts that follow each other";
    V24 = "metadata ascend by key, and are UTF-8 texts that follow the names to the end of the strings section";
    V25 = "every section has its checksum, and pads and the absent outputs of panels are zero";
}

/// Where a file breaks which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The rule.
    pub rule: Rule,
    /// Where, in bytes from the start of the file: the record or the bytes that break it.
    pub at: u32,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} at byte {:#x}: not so: {}", self.rule.number(), self.at, self.rule.demand())
    }
}

impl core::error::Error for Error {}

type Outcome = Result<(), Error>;

fn demand(holds: bool, rule: Rule, at: u32) -> Outcome {
    if holds { Ok(()) } else { Err(Error { rule, at }) }
}

/// The file position of record `index` in a section of `T`s.
fn at<T>(section: u32, index: usize) -> u32 {
    section.saturating_add((index as u32).saturating_mul(size_of::<T>() as u32))
}

pub(crate) const HEADER_BYTES: usize = size_of::<Header>();

pub(crate) fn v01_length(bytes: &[u8]) -> Outcome {
    demand(bytes.len() >= HEADER_BYTES && u32::try_from(bytes.len()).is_ok(), Rule::V01, bytes.len() as u32)
}

pub(crate) fn v01_file_bytes(header: &Header, bytes: &[u8]) -> Outcome {
    demand(header.file_bytes as usize == bytes.len(), Rule::V01, bytes.len() as u32)
}

pub(crate) fn v02_magic(bytes: &[u8]) -> Outcome {
    demand(bytes.starts_with(&MAGIC), Rule::V02, 0)
}

pub(crate) fn v03_version(header: &Header) -> Outcome {
    demand(header.version == VERSION, Rule::V03, 8)
}

pub(crate) fn v04_header_crc(header: &Header, directory: &[u8]) -> Outcome {
    demand(header.header_crc32 == header_crc32(header, directory), Rule::V04, 20)
}

pub(crate) fn header_crc32(header: &Header, directory: &[u8]) -> u32 {
    let header = Header { header_crc32: 0, ..*header };
    Crc32::new().update(bytemuck::bytes_of(&header)).update(directory).finish()
}

pub(crate) fn v05_alignment(bytes: &[u8]) -> Outcome {
    demand(bytes.as_ptr().addr().is_multiple_of(ALIGN as usize), Rule::V05, 0)
}

pub(crate) fn v06_header(header: &Header) -> Outcome {
    demand(Target::from_number(header.target).is_some(), Rule::V06, 24)?;
    demand(matches!(header.align, 16 | 64), Rule::V06, 28)?;
    demand(header.features & !Features::KNOWN == 0, Rule::V06, 64)?;
    demand(header.reserved == 0, Rule::V06, 88)
}

pub(crate) fn v07_directory(sections: &[SectionRecord]) -> Outcome {
    let mut previous = 0;
    for (index, section) in sections.iter().enumerate() {
        let at = at::<SectionRecord>(HEADER_BYTES as u32, index);
        let critical = match SectionKind::from_number(section.kind) {
            Some(kind) => kind.critical() == (section.critical == 1),
            None => section.critical == 0,
        };
        let aligned = section.align.is_power_of_two() && (ALIGN..=1 << 16).contains(&section.align);
        let holds =
            section.kind > previous && critical && section.critical <= 1 && aligned && section.reserved == 0;
        demand(holds, Rule::V07, at)?;
        previous = section.kind;
    }
    Ok(())
}

pub(crate) fn v08_sections(bytes: &[u8], sections: &[SectionRecord]) -> Outcome {
    let mut end = HEADER_BYTES + size_of_val(sections);
    for (index, section) in sections.iter().enumerate() {
        let at = at::<SectionRecord>(HEADER_BYTES as u32, index);
        let start = end.checked_next_multiple_of(section.align.max(1) as usize);
        demand(start == Some(section.offset as usize), Rule::V08, at)?;
        let pad = bytes.get(end..section.offset as usize);
        demand(pad.is_some_and(|pad| pad.iter().all(|&b| b == 0)), Rule::V08, at)?;
        // On a 32-bit machine the sum may pass the end of the address space.
        let section_end = (section.offset as usize).checked_add(section.bytes as usize);
        end = section_end.filter(|&end| end <= bytes.len()).ok_or(Error { rule: Rule::V08, at })?;
    }
    demand(end == bytes.len(), Rule::V08, end as u32)
}

pub(crate) fn v10_tensor(model: &Model<'_>, index: usize, tensor: &TensorRecord) -> Outcome {
    let holds = || {
        DType::from_number(tensor.dtype)?;
        Place::from_number(tensor.place)?;
        let layout = Layout::from_number(tensor.layout)?;
        let (used, unused) = tensor.dims.split_at_checked(tensor.rank.into())?;
        let dims = used.iter().all(|&d| d != 0) && unused.iter().all(|&d| d == 0);
        let place = layout == Layout::Rows || tensor.place == Place::Constant as u8;
        let bytes = model.tensor(index as u32)?.tensor_type().bytes(layout)?;
        let quant = tensor.quant as usize <= model.quants().len();
        (dims && place && quant && bytes == tensor.bytes).then_some(())
    };
    demand(holds().is_some(), Rule::V10, at::<TensorRecord>(model.offset(SectionKind::Tensors), index))
}

pub(crate) fn v11_range(model: &Model<'_>, index: usize, tensor: &TensorRecord) -> Outcome {
    let (start, end, align) = match Place::from_number(tensor.place) {
        Some(Place::Constant) => {
            let start = model.offset(SectionKind::Weights);
            (
                start,
                start.saturating_add(model.section(SectionKind::Weights).len() as u32),
                model.header().align,
            )
        }
        Some(Place::Arena) => (0, model.header().arena_bytes, ALIGN),
        Some(Place::State) | None => (0, model.header().state_bytes, ALIGN),
    };
    let inside = tensor.offset >= start && tensor.offset.checked_add(tensor.bytes).is_some_and(|e| e <= end);
    let aligned = tensor.offset.checked_rem(align) == Some(0);
    demand(inside && aligned, Rule::V11, at::<TensorRecord>(model.offset(SectionKind::Tensors), index))
}

/// Constants in the order of the tensor table either take the bytes of the one before once more or
/// begin where it ended, aligned. Offsets have passed [`v11_range`].
pub(crate) fn v12_constants(model: &Model<'_>) -> Outcome {
    let align = model.header().align.max(1);
    let weights = model.offset(SectionKind::Weights);
    let (mut start, mut end) = (weights, weights);
    for (index, tensor) in model.tensor_records().iter().enumerate() {
        if tensor.place != Place::Constant as u8 {
            continue;
        }
        let shared =
            tensor.offset == start && tensor.offset.saturating_add(tensor.bytes) == end && end != weights;
        let next = end.checked_next_multiple_of(align) == Some(tensor.offset);
        demand(shared || next, Rule::V12, at::<TensorRecord>(model.offset(SectionKind::Tensors), index))?;
        (start, end) = (tensor.offset, tensor.offset.saturating_add(tensor.bytes));
    }
    let length = model.section(SectionKind::Weights).len() as u32;
    demand(end == weights.saturating_add(length), Rule::V12, end)
}

/// Rules 13 to 16 for one step; `operand` and `params` are where the step before ended.
pub(crate) fn v13_to_v16_step(
    model: &Model<'_>,
    index: usize,
    step: &StepRecord,
    operand: &mut u32,
    params: &mut u32,
) -> Outcome {
    let at = at::<StepRecord>(model.offset(SectionKind::Steps), index);
    let op = OpCode::from_number(step.op).ok_or(Error { rule: Rule::V13, at })?;
    let reserved = step.reserved == [0; 3] && step.reserved_2 == 0;
    let counts = usize::from(step.input_count) <= MAX_INPUTS && step.output_count >= 1;
    demand(reserved && counts && step.params_bytes == op.params_bytes(), Rule::V13, at)?;

    let count = u32::from(step.input_count) + u32::from(step.output_count) + u32::from(step.scratch_count);
    demand(step.first_operand == *operand, Rule::V14, at)?;
    *operand = operand.saturating_add(count);
    let operands = model.operands().get(step.first_operand as usize..*operand as usize);
    let exist = |tensors: &[u32]| tensors.iter().all(|&t| (t as usize) < model.tensor_records().len());
    demand(operands.is_some_and(exist), Rule::V14, at)?;

    demand(step.params_offset == *params && params.is_multiple_of(4), Rule::V15, at)?;
    *params = params.saturating_add(step.params_bytes);
    let end =
        model.offset(SectionKind::Params).saturating_add(model.section(SectionKind::Params).len() as u32);
    demand(*params <= end, Rule::V15, at)?;

    v16_writes(model, index as u32).map_or(Err(Error { rule: Rule::V16, at }), |()| Ok(()))
}

fn v16_writes(model: &Model<'_>, index: u32) -> Option<()> {
    let step = model.step(index)?;
    if step.writes().count() > MAX_WRITES {
        return None;
    }
    for (position, write) in step.writes().enumerate() {
        if write.place() == Place::Constant {
            return None;
        }
        if step.writes().skip(position + 1).any(|other| write.overlaps(&other)) {
            return None;
        }
        let output = position < step.output_count();
        if step.inputs().any(|read| write.overlaps(&read) && !(output && write.same_memory(&read))) {
            return None;
        }
    }
    Some(())
}

pub(crate) fn v17_interface(model: &Model<'_>) -> Outcome {
    for (kind, tensors) in
        [(SectionKind::Inputs, model.input_numbers()), (SectionKind::Outputs, model.output_numbers())]
    {
        for (position, &number) in tensors.iter().enumerate() {
            let at = at::<u32>(model.offset(kind), position);
            let tensor = model.tensor(number).ok_or(Error { rule: Rule::V17, at })?;
            demand(tensor.place() == Place::Arena, Rule::V17, at)?;
            if kind == SectionKind::Inputs {
                let mut others = tensors.iter().skip(position + 1).filter_map(|&other| model.tensor(other));
                demand(position < MAX_MODEL_INPUTS && !others.any(|o| o.overlaps(&tensor)), Rule::V17, at)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn v18_sums(model: &Model<'_>) -> Outcome {
    let mut ops = [0u32; 8];
    let mut scratch_bytes = 0;
    for step in model.steps() {
        if let Some(word) = ops.get_mut(step.op() as usize / 32) {
            *word |= 1 << (step.op() as u32 % 32);
        }
        let bytes = step.scratches().fold(0u32, |sum, t| sum.saturating_add(t.bytes()));
        scratch_bytes = scratch_bytes.max(bytes);
    }
    // `None` where the padded size passes 4 GiB, which no header field can say.
    let end = |place: Place| {
        let ends =
            model.tensors().filter(move |t| t.place() == place).map(|t| t.offset().saturating_add(t.bytes()));
        ends.max().unwrap_or(0).checked_next_multiple_of(ALIGN)
    };
    let header = model.header();
    demand(header.required_ops == ops, Rule::V18, 32)?;
    demand(Some(header.arena_bytes) == end(Place::Arena), Rule::V18, 68)?;
    demand(Some(header.state_bytes) == end(Place::State), Rule::V18, 72)?;
    demand(header.arena_bytes.checked_add(header.state_bytes).is_some(), Rule::V18, 72)?;
    demand(header.scratch_bytes == scratch_bytes, Rule::V18, 76)
}

pub(crate) fn v19_quant(model: &Model<'_>) -> Outcome {
    for (index, quant) in model.quants().iter().enumerate() {
        let scale = quant.scale > 0.0 && quant.scale < f32::INFINITY;
        let scales = match model.tensor(quant.scales) {
            Some(t) => {
                let readable = t.dtype() == DType::F32 && t.layout() == Layout::Rows;
                t.place() == Place::Constant && readable && quant.axis != u32::MAX
            }
            None => quant.scales == u32::MAX && quant.axis == u32::MAX,
        };
        demand(scale && scales, Rule::V19, at::<QuantRecord>(model.offset(SectionKind::Quant), index))?;
    }
    for tensor in model.tensors() {
        let quant = tensor.quant().and_then(|number| model.quants().get(number as usize));
        let Some((quant, scales)) = quant.and_then(|q| Some((q, model.tensor(q.scales)?))) else { continue };
        let (axis, shape) = (quant.axis as usize, tensor.shape());
        let fits = axis < shape.rank() && scales.shape().dims() == [shape.dim(axis)];
        let at = at::<TensorRecord>(model.offset(SectionKind::Tensors), tensor.number() as usize);
        demand(fits, Rule::V19, at)?;
    }
    Ok(())
}

pub(crate) fn v20_state(model: &Model<'_>) -> Outcome {
    let bytes = model.section(SectionKind::StateInit).len();
    demand(bytes == model.header().state_bytes as usize, Rule::V20, model.offset(SectionKind::StateInit))
}

/// Bytes of a golden value in the file: those of the tensor and the pad after them.
fn padded(tensor: Tensor<'_>) -> Option<u32> {
    tensor.bytes().checked_next_multiple_of(ALIGN)
}

pub(crate) fn v21_cases(model: &Model<'_>) -> Outcome {
    let mut values = model.inputs().chain(model.outputs());
    let data_bytes = values.try_fold(0u32, |sum, tensor| sum.checked_add(padded(tensor)?));
    let mut data = model.offset(SectionKind::GoldenData);
    let end = data.saturating_add(model.section(SectionKind::GoldenData).len() as u32);
    let mut receipts = 0u32;
    for (index, case) in model.case_records().iter().enumerate() {
        let at = at::<CaseRecord>(model.offset(SectionKind::Goldens), index);
        let tolerances =
            [case.abs_tolerance, case.rel_tolerance, case.receipt_abs_tolerance, case.receipt_rel_tolerance];
        let holds = case.data_offset == data
            && Some(case.data_bytes) == data_bytes
            && case.reserved == 0
            && tolerances.iter().all(|t| *t >= 0.0 && *t < f32::INFINITY);
        demand(holds, Rule::V21, at)?;
        let next = data.checked_add(case.data_bytes).filter(|&next| next <= end);
        data = next.ok_or(Error { rule: Rule::V21, at })?;
        receipts = receipts.saturating_add(case.receipt_count);
        demand(receipts as usize <= model.receipt_records().len(), Rule::V21, at)?;
    }
    let whole = data == end && receipts as usize == model.receipt_records().len();
    demand(whole, Rule::V21, model.offset(SectionKind::Goldens))
}

pub(crate) fn v22_receipts(model: &Model<'_>) -> Outcome {
    let mut number = 0;
    for case in model.cases() {
        let mut least = 0;
        for receipt in case.receipts() {
            let at = at::<ReceiptRecord>(model.offset(SectionKind::Receipts), number);
            let output = model.step(receipt.step).and_then(|step| step.outputs().next());
            let len = output.map_or(0, |tensor| tensor.len());
            let probes = receipt.probe_index.iter().all(|&i| i < len);
            demand(receipt.step >= least && probes && receipt.exact <= 1, Rule::V22, at)?;
            least = receipt.step.saturating_add(1);
            number += 1;
        }
    }
    Ok(())
}

/// The text of a reference; `None` where it is outside of the section or no UTF-8.
pub(crate) fn text(strings: &[u8], r: StringRef) -> Option<&str> {
    let end = r.offset.checked_add(r.bytes)?;
    core::str::from_utf8(strings.get(r.offset as usize..end as usize)?).ok()
}

/// The text of a reference, if it begins at `end`, which then moves to where it ends. So no text is
/// looked at twice, and the strings section has no holes.
fn next_text<'a>(strings: &'a [u8], r: StringRef, end: &mut u32) -> Option<&'a str> {
    let text = text(strings, r).filter(|_| r.offset == *end)?;
    *end = r.offset.checked_add(r.bytes)?;
    Some(text)
}

/// Gives where the names end in the strings section.
pub(crate) fn v23_names(model: &Model<'_>) -> Result<u32, Error> {
    let strings = model.section(SectionKind::Strings);
    let (mut least, mut end) = ((0, 0), 0);
    for (index, name) in model.name_records().iter().enumerate() {
        let count = match NameKind::from_number(name.kind) {
            Some(NameKind::Tensor) => model.tensor_records().len(),
            Some(NameKind::Step) => model.steps().len(),
            None => 0,
        };
        let holds = (name.index as usize) < count
            && (name.kind, name.index) >= least
            && next_text(strings, name.name, &mut end).is_some();
        demand(holds, Rule::V23, at::<NameRecord>(model.offset(SectionKind::Names), index))?;
        least = (name.kind, name.index.saturating_add(1));
    }
    Ok(end)
}

/// `end` is where the names end in the strings section.
pub(crate) fn v24_meta(model: &Model<'_>, mut end: u32) -> Outcome {
    let strings = model.section(SectionKind::Strings);
    let mut previous = None;
    for (index, meta) in model.meta_records().iter().enumerate() {
        let key = next_text(strings, meta.key, &mut end);
        let holds = key.is_some() && key > previous && next_text(strings, meta.value, &mut end).is_some();
        demand(holds, Rule::V24, at::<MetaRecord>(model.offset(SectionKind::Meta), index))?;
        previous = key;
    }
    demand(end as usize == strings.len(), Rule::V24, model.offset(SectionKind::Strings).saturating_add(end))
}

pub(crate) fn v25_contents(model: &Model<'_>) -> Outcome {
    for section in model.sections() {
        let bytes = model.section_bytes(section);
        demand(crc32(bytes) == section.crc32, Rule::V25, section.offset)?;
    }
    let mut end = model.offset(SectionKind::Weights);
    for tensor in model.tensors().filter(|t| t.place() == Place::Constant) {
        v25_zero(model, end, tensor.offset())?;
        end = tensor.offset().saturating_add(tensor.bytes());
        v25_panels(model, tensor)?;
    }
    for case in model.case_records() {
        let mut at = case.data_offset;
        for tensor in model.inputs().chain(model.outputs()) {
            let next = at.saturating_add(padded(tensor).unwrap_or(u32::MAX));
            v25_zero(model, at.saturating_add(tensor.bytes()), next)?;
            at = next;
        }
    }
    Ok(())
}

/// The bytes between are zero; there are none if `from` is not below `to`.
fn v25_zero(model: &Model<'_>, from: u32, to: u32) -> Outcome {
    let bytes = model.bytes().get(from as usize..to as usize).unwrap_or_default();
    demand(bytes.iter().all(|&b| b == 0), Rule::V25, from)
}

/// The last panel holds zeros for the outputs that are absent.
fn v25_panels(model: &Model<'_>, tensor: Tensor<'_>) -> Outcome {
    let present = tensor.shape().dim(0) % PANEL;
    if tensor.layout() != Layout::Panel16 || present == 0 {
        return Ok(());
    }
    let [row_bytes, present_bytes] = [PANEL, present].map(|outputs| outputs * tensor.dtype().bytes());
    let end = tensor.offset().saturating_add(tensor.bytes());
    let depth = tensor.shape().around(0).map_or(0, |(_, _, depth)| depth);
    let panel = end.saturating_sub(depth.saturating_mul(row_bytes));
    for row in (panel..end).step_by(row_bytes.max(1) as usize) {
        v25_zero(model, row.saturating_add(present_bytes), row.saturating_add(row_bytes))?;
    }
    Ok(())
}
