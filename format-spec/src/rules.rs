//! The validity rules: one function each, numbered as in `SPEC.md`.

use crate::crc32::{Crc32, crc32};
use crate::golden::{CaseRecord, ReceiptRecord};
use crate::header::{Features, Header, MAX_MODEL_INPUTS, Target};
use crate::meta::{MetaRecord, NameKind, NameRecord, StringRef};
use crate::model::{Model, Tensor};
use crate::op::{MAX_INPUTS, MAX_WRITES, OpCode, StepRecord};
use crate::quant::QuantRecord;
use crate::section::{SectionKind, SectionRecord, Spans};
use crate::shape::Shape;
use crate::tensor::{DType, Layout, Place, TensorRecord, TensorType};
use crate::{ALIGN, MAGIC, PAIR, PAIR_GROUP, PANEL, PANEL_GROUP, VERSION, pairs_at};

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
        crate::say! { Rule: $(Self::$name => $text;)* }
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
    V16 = "a step writes at most 8 tensors, each in memory of its own; only an output may take the place of an input, and then exactly, but the first may share a part with the first";
    V17 = "inputs and outputs lie in an arena, and no two inputs share memory";
    V18 = "the header sums up the steps and tensors: operators, arenas, scratch, state";
    V19 = "a quantisation record has a positive scale, and scales that exist and fit the tensors that use it";
    V20 = "the initial state is as long as the state memory";
    V21 = "a golden's data are as long as the inputs and outputs, and its tolerances are numbers";
    V22 = "a receipt names a step and elements that exist, ascending, and is exact or not";
    V23 = "names belong to tensors and steps that exist, ascending, and are UTF-8 texts that follow each other";
    V24 = "metadata ascend by key, and are UTF-8 texts that follow the names to the end of the strings section";
    V25 = "every section has its checksum, and pads and absent weights are zero";
}

/// Where a file breaks which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The rule.
    pub rule: Rule,
    /// Where, in bytes from the start of the file: the record or the bytes that break it.
    pub at: u32,
}

crate::say! { Error:
    Error { rule, at } => "{} at byte {:#x}: not so: {}", rule.number(), at, rule;
}

impl core::error::Error for Error {}

type Outcome = Result<(), Error>;

fn demand(holds: bool, rule: Rule, at: u32) -> Outcome {
    if holds { Ok(()) } else { Err(Error { rule, at }) }
}

/// The file position of record `index` in a section of `T`s, which has that record.
fn at<T>(section: u32, index: usize) -> u32 {
    section.wrapping_add((index as u32).wrapping_mul(size_of::<T>() as u32))
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

pub(crate) fn v04_header_crc(header: &Header, sections: &[SectionRecord]) -> Outcome {
    demand(header.header_crc32 == header_crc32(header, bytemuck::cast_slice(sections)), Rule::V04, 20)
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
    demand(header.reserved == 0, Rule::V06, 92)
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

pub(crate) fn v09_records(spans: &Spans) -> Outcome {
    use SectionKind::{Goldens, Inputs, Meta, Names, Operands, Outputs, Quant, Receipts, Steps, Tensors};
    let records = [
        (Tensors, size_of::<TensorRecord>(), true),
        (Steps, size_of::<StepRecord>(), true),
        (Operands, size_of::<u32>(), true),
        (Inputs, size_of::<u32>(), true),
        (Outputs, size_of::<u32>(), true),
        (Quant, size_of::<QuantRecord>(), false),
        (Goldens, size_of::<CaseRecord>(), false),
        (Receipts, size_of::<ReceiptRecord>(), false),
        (Names, size_of::<NameRecord>(), false),
        (Meta, size_of::<MetaRecord>(), false),
    ];
    for (kind, size, required) in records {
        let span = spans.get(kind);
        let whole = span.bytes.checked_rem(size as u32) == Some(0);
        demand(whole && !(required && span.offset == 0), Rule::V09, span.offset)?;
    }
    Ok(())
}

/// Where the last tensor of a memory ends.
#[derive(Default)]
pub(crate) struct Ends {
    arena: u32,
    state: u32,
    far: u32,
}

/// Rules 10 and 11 for each tensor, then rule 12.
pub(crate) fn v10_to_v12_tensors(model: &Model<'_>, spans: &Spans) -> Result<Ends, Error> {
    let (header, weights) = (model.header(), spans.get(SectionKind::Weights));
    let quants = model.in_span::<QuantRecord>(spans.get(SectionKind::Quant)).len();
    let mut constants = Constants { weights: weights.offset, start: weights.offset, end: weights.offset };
    let (mut ends, mut unordered) = (Ends::default(), None);
    for (index, tensor) in model.tensor_records().iter().enumerate() {
        let at = at::<TensorRecord>(spans.get(SectionKind::Tensors).offset, index);
        let known = v10_tensor(tensor) && tensor.quant as usize <= quants;
        let place = Place::from_number(tensor.place).filter(|_| known);
        let place = place.ok_or(Error { rule: Rule::V10, at })?;
        let (start, limit, align) = match place {
            Place::Constant => (weights.offset, weights.end(), header.align),
            Place::Arena => (0, header.arena_bytes, ALIGN),
            Place::State => (0, header.state_bytes, ALIGN),
            Place::Far => (0, header.far_bytes, ALIGN),
        };
        let end = tensor.offset.checked_add(tensor.bytes).filter(|&end| end <= limit);
        let aligned = tensor.offset & align.wrapping_sub(1) == 0;
        let end = end.filter(|_| aligned && tensor.offset >= start);
        let end = end.ok_or(Error { rule: Rule::V11, at })?;
        match place {
            Place::Constant => {
                let follows = constants.v12_follows(tensor.offset, end, align);
                unordered = unordered.or((!follows).then_some(at));
            }
            Place::Arena => ends.arena = ends.arena.max(end),
            Place::State => ends.state = ends.state.max(end),
            Place::Far => ends.far = ends.far.max(end),
        }
    }
    let end = (constants.end != weights.end()).then_some(constants.end);
    match unordered.or(end) {
        Some(at) => Err(Error { rule: Rule::V12, at }),
        None => Ok(ends),
    }
}

fn v10_tensor(tensor: &TensorRecord) -> bool {
    let (Some(dtype), Some(layout)) = (DType::from_number(tensor.dtype), Layout::from_number(tensor.layout))
    else {
        return false;
    };
    let Some((used, unused)) = tensor.dims.split_at_checked(tensor.rank.into()) else { return false };
    let bytes = match layout {
        Layout::Rows => used.iter().try_fold(dtype.bytes(), |bytes, &dim| bytes.checked_mul(dim)),
        _ if tensor.place != Place::Constant as u8 => None,
        _ => TensorType { dtype, shape: Shape::of_record(&tensor.dims, tensor.rank) }.bytes(layout),
    };
    // A dimension of zero makes no bytes.
    bytes == Some(tensor.bytes) && tensor.bytes != 0 && unused.iter().fold(0, |all, dim| all | dim) == 0
}

/// Constants in the order of the tensor table.
struct Constants {
    /// Where the weights begin.
    weights: u32,
    /// Where the constant before begins and ends.
    start: u32,
    end: u32,
}

impl Constants {
    /// Whether a constant takes the bytes of the one before once more or begins where it ended,
    /// aligned.
    fn v12_follows(&mut self, start: u32, end: u32, align: u32) -> bool {
        let shared = start == self.start && end == self.end && end != self.weights;
        // An alignment is a power of two (V06).
        let mask = align.wrapping_sub(1);
        let next = self.end.checked_add(mask).is_some_and(|end| end & !mask == start);
        (self.start, self.end) = (start, end);
        shared || next
    }
}

/// What the steps use.
#[derive(Default)]
pub(crate) struct Used {
    ops: [u32; 8],
    scratch_bytes: u32,
}

/// Rules 13 to 16 for each step.
pub(crate) fn v13_to_v16_steps(model: &Model<'_>, spans: &Spans) -> Result<Used, Error> {
    let params = spans.get(SectionKind::Params);
    let (mut operand, mut param, mut used) = (0, params.offset, Used::default());
    for (index, step) in model.step_records().iter().enumerate() {
        let at = at::<StepRecord>(spans.get(SectionKind::Steps).offset, index);
        let op = OpCode::from_number(step.op).ok_or(Error { rule: Rule::V13, at })?;
        let reserved = step.reserved == [0; 3] && step.reserved_2 == 0;
        let counts = usize::from(step.input_count) <= MAX_INPUTS && step.output_count >= 1;
        demand(reserved && counts && step.params_bytes == op.params_bytes(), Rule::V13, at)?;

        let [inputs, outputs, scratches] =
            [step.input_count, step.output_count, step.scratch_count].map(usize::from);
        demand(step.first_operand as usize == operand, Rule::V14, at)?;
        let numbers = model.operands().get(operand..).unwrap_or_default();
        let numbers = numbers.get(..inputs + outputs + scratches).ok_or(Error { rule: Rule::V14, at })?;
        operand += numbers.len();
        let tensors = model.tensor_records();
        let exist = numbers.iter().all(|&number| (number as usize) < tensors.len());
        demand(exist, Rule::V14, at)?;

        demand(step.params_offset == param && param.is_multiple_of(4), Rule::V15, at)?;
        param = param.saturating_add(step.params_bytes);
        demand(param <= params.end(), Rule::V15, at)?;

        let (reads, writes) = numbers.split_at_checked(inputs).unwrap_or_default();
        demand(v16_writes(tensors, reads, writes, outputs).is_some(), Rule::V16, at)?;

        if let Some(word) = used.ops.get_mut(usize::from(step.op) / 32) {
            *word |= 1 << (step.op % 32);
        }
        let scratches = writes.get(outputs..).unwrap_or_default().iter();
        let scratches = scratches.filter_map(|&number| tensors.get(number as usize));
        let bytes = scratches.fold(0u32, |sum, tensor| sum.saturating_add(tensor.bytes));
        used.scratch_bytes = used.scratch_bytes.max(bytes);
    }
    demand(operand == model.operands().len(), Rule::V14, spans.get(SectionKind::Operands).offset)?;
    demand(param == params.end(), Rule::V15, param)?;
    Ok(used)
}

/// `None` if a tensor is written that may not be.
fn v16_writes(tensors: &[TensorRecord], reads: &[u32], writes: &[u32], outputs: usize) -> Option<()> {
    if writes.len() > MAX_WRITES {
        return None;
    }
    for (position, &number) in writes.iter().enumerate() {
        let write = tensors.get(number as usize)?;
        if write.place == Place::Constant as u8 {
            return None;
        }
        for &other in writes.get(position + 1..)? {
            if write.overlaps(tensors.get(other as usize)?) {
                return None;
            }
        }
        for (position_read, &read) in reads.iter().enumerate() {
            let read = tensors.get(read as usize)?;
            let in_part = position == 0 && position_read == 0;
            if write.overlaps(read) && !(position < outputs && (in_part || write.same_memory(read))) {
                return None;
            }
        }
    }
    Some(())
}

pub(crate) fn v17_interface(model: &Model<'_>, spans: &Spans) -> Outcome {
    for (kind, tensors) in
        [(SectionKind::Inputs, model.input_numbers()), (SectionKind::Outputs, model.output_numbers())]
    {
        for (position, &number) in tensors.iter().enumerate() {
            let at = at::<u32>(spans.get(kind).offset, position);
            let tensor = model.tensor(number).ok_or(Error { rule: Rule::V17, at })?;
            demand(matches!(tensor.place(), Place::Arena | Place::Far), Rule::V17, at)?;
            if kind == SectionKind::Inputs {
                let mut others = tensors.iter().skip(position + 1).filter_map(|&other| model.tensor(other));
                demand(position < MAX_MODEL_INPUTS && !others.any(|o| o.overlaps(&tensor)), Rule::V17, at)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn v18_sums(header: &Header, ends: &Ends, used: &Used) -> Outcome {
    // `None` where the padded size passes 4 GiB, which no header field can say.
    let padded = |end: u32| end.checked_next_multiple_of(ALIGN);
    demand(header.required_ops == used.ops, Rule::V18, 32)?;
    demand(Some(header.arena_bytes) == padded(ends.arena), Rule::V18, 68)?;
    demand(Some(header.state_bytes) == padded(ends.state), Rule::V18, 72)?;
    demand(Some(header.far_bytes) == padded(ends.far), Rule::V18, 88)?;
    let together = header.arena_bytes.checked_add(header.state_bytes);
    demand(together.and_then(|bytes| bytes.checked_add(header.far_bytes)).is_some(), Rule::V18, 72)?;
    demand(header.scratch_bytes == used.scratch_bytes, Rule::V18, 76)
}

pub(crate) fn v19_quant(model: &Model<'_>, spans: &Spans) -> Outcome {
    let quants: &[QuantRecord] = model.in_span(spans.get(SectionKind::Quant));
    let mut per_axis = false;
    for (index, quant) in quants.iter().enumerate() {
        let scale = quant.scale > 0.0 && quant.scale < f32::INFINITY;
        let scales = match model.tensor(quant.scales) {
            Some(t) => {
                per_axis = true;
                let readable = t.dtype() == DType::F32 && t.layout() == Layout::Rows;
                t.place() == Place::Constant && readable && quant.axis != u32::MAX
            }
            None => quant.scales == u32::MAX && quant.axis == u32::MAX,
        };
        demand(scale && scales, Rule::V19, at::<QuantRecord>(spans.get(SectionKind::Quant).offset, index))?;
    }
    for tensor in model.tensors().filter(|_| per_axis) {
        let quant = tensor.quant().and_then(|number| quants.get(number as usize));
        let Some((quant, scales)) = quant.and_then(|q| Some((q, model.tensor(q.scales)?))) else { continue };
        let (axis, shape) = (quant.axis as usize, tensor.shape());
        let fits = axis < shape.rank() && scales.shape().dims() == [shape.dim(axis)];
        let at = at::<TensorRecord>(spans.get(SectionKind::Tensors).offset, tensor.number() as usize);
        demand(fits, Rule::V19, at)?;
    }
    Ok(())
}

pub(crate) fn v20_state(header: &Header, spans: &Spans) -> Outcome {
    let init = spans.get(SectionKind::StateInit);
    demand(init.bytes == header.state_bytes, Rule::V20, init.offset)
}

/// Bytes of a golden value in the file: those of the tensor and the pad after them.
fn padded(tensor: Tensor<'_>) -> Option<u32> {
    tensor.bytes().checked_next_multiple_of(ALIGN)
}

pub(crate) fn v21_cases(model: &Model<'_>, spans: &Spans) -> Outcome {
    let cases = spans.get(SectionKind::Goldens);
    let receipt_count = model.in_span::<ReceiptRecord>(spans.get(SectionKind::Receipts)).len();
    let mut values = model.inputs().chain(model.outputs());
    let data_bytes = values.try_fold(0u32, |sum, tensor| sum.checked_add(padded(tensor)?));
    let (mut data, end) =
        (spans.get(SectionKind::GoldenData).offset, spans.get(SectionKind::GoldenData).end());
    let mut receipts = 0u32;
    for (index, case) in model.in_span::<CaseRecord>(cases).iter().enumerate() {
        let at = at::<CaseRecord>(cases.offset, index);
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
        demand(receipts as usize <= receipt_count, Rule::V21, at)?;
    }
    let whole = data == end && receipts as usize == receipt_count;
    demand(whole, Rule::V21, cases.offset)
}

pub(crate) fn v22_receipts(model: &Model<'_>, spans: &Spans) -> Outcome {
    let section = spans.get(SectionKind::Receipts);
    let mut receipts = model.in_span::<ReceiptRecord>(section).iter().enumerate();
    for case in model.in_span::<CaseRecord>(spans.get(SectionKind::Goldens)) {
        let mut least = 0;
        for (number, receipt) in receipts.by_ref().take(case.receipt_count as usize) {
            let at = at::<ReceiptRecord>(section.offset, number);
            let step = model.step_records().get(receipt.step as usize);
            // No tensor is empty, so that the first element is there.
            let len = |_| model.step(receipt.step)?.output().map(|output| output.len());
            let exist = match receipt.probe_index {
                [0, 0, 0, 0] => step.is_some(),
                probes => step.and_then(len).is_some_and(|len| probes.iter().all(|&probe| probe < len)),
            };
            demand(receipt.step >= least && exist && receipt.exact <= 1, Rule::V22, at)?;
            least = receipt.step.saturating_add(1);
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
        v25_absent(model, tensor)?;
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

/// A layout holds zeros for outputs and elements that are absent.
fn v25_absent(model: &Model<'_>, tensor: Tensor<'_>) -> Outcome {
    let axis = if tensor.layout() == Layout::Gates16 { 1 } else { 0 };
    let Some((gates, outputs, depth)) = tensor.shape().around(axis) else { return Ok(()) };
    match tensor.layout() {
        Layout::Rows => Ok(()),
        Layout::Panel16 => v25_panels::<1>(model, tensor, outputs, depth),
        Layout::Gates16 => v25_panels::<1>(model, tensor, outputs, depth.saturating_mul(gates)),
        Layout::Pairs => v25_pairs(model, tensor, outputs, depth),
        Layout::Panel16x4 => v25_panels::<PANEL_GROUP>(model, tensor, outputs, depth),
    }
}

/// The last panel holds zeros for the outputs that are absent, and the last group of each panel for elements that are.
/// An output has `GROUP` elements side by side.
fn v25_panels<const GROUP: u32>(model: &Model<'_>, tensor: Tensor<'_>, outputs: u32, depth: u32) -> Outcome {
    let bytes = tensor.dtype().bytes();
    let of_output = GROUP.saturating_mul(bytes);
    let group_bytes = PANEL.saturating_mul(of_output);
    let panel_bytes = depth.div_ceil(GROUP).saturating_mul(group_bytes);
    let end = tensor.offset().saturating_add(tensor.bytes());
    let present = outputs % PANEL;
    if present != 0 {
        for group in (end.saturating_sub(panel_bytes)..end).step_by(group_bytes.max(1) as usize) {
            let first = group.saturating_add(present.saturating_mul(of_output));
            v25_zero(model, first, group.saturating_add(group_bytes))?;
        }
    }
    let present = depth % GROUP;
    if present != 0 {
        for panel in (tensor.offset()..end).step_by(panel_bytes.max(1) as usize) {
            let panel_end = panel.saturating_add(panel_bytes);
            for output in
                (panel_end.saturating_sub(group_bytes)..panel_end).step_by(of_output.max(1) as usize)
            {
                let first = output.saturating_add(present.saturating_mul(bytes));
                v25_zero(model, first, output.saturating_add(of_output))?;
            }
        }
    }
    Ok(())
}

/// The last pair holds zeros for an output that is absent, and the last group of each pair for elements that
/// are.
fn v25_pairs(model: &Model<'_>, tensor: Tensor<'_>, outputs: u32, depth: u32) -> Outcome {
    let bytes = tensor.dtype().bytes();
    let group_bytes = (PAIR * PAIR_GROUP).saturating_mul(bytes);
    let pair_bytes = depth.div_ceil(PAIR_GROUP).saturating_mul(group_bytes);
    let end = tensor.offset().saturating_add(tensor.bytes());
    if outputs % PAIR == 1 {
        let first = end.saturating_sub(pair_bytes).saturating_add(bytes);
        for at in (first..end).step_by((PAIR * bytes).max(1) as usize) {
            v25_zero(model, at, at.saturating_add(bytes))?;
        }
    }
    let present = depth % PAIR_GROUP;
    if present != 0 {
        for pair in (tensor.offset()..end).step_by(pair_bytes.max(1) as usize) {
            let group = pair.saturating_add(pair_bytes).saturating_sub(group_bytes);
            for element in present..PAIR_GROUP {
                let place = (pairs_at(element as usize) as u32).saturating_mul(bytes);
                let at = group.saturating_add(place);
                v25_zero(model, at, at.saturating_add(PAIR * bytes))?;
            }
        }
    }
    Ok(())
}
