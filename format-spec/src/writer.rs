//! The writer: the only code that emits a file.

use crate::crc32::crc32;
use crate::golden::{CaseRecord, ReceiptRecord};
use crate::header::{Header, Target};
use crate::meta::{MetaRecord, NameKind, NameRecord, StringRef};
use crate::op::{OpCode, StepRecord};
use crate::quant::QuantRecord;
use crate::rules::{self, HEADER_BYTES};
use crate::section::{SectionKind, SectionRecord};
use crate::tensor::{Layout, Place, TensorRecord, TensorType};
use crate::{ALIGN, Block, Error, MAGIC, Model, VERSION};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};

/// Everything that a file says, before it has a layout.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The machine that weights are laid out for.
    pub target: Target,
    /// Tensors, by number. Constants are written in this order; one with the same bytes as the
    /// constant before it shares them.
    pub tensors: Vec<TensorDraft>,
    /// Steps, in execution order.
    pub steps: Vec<StepDraft>,
    /// Tensor numbers of the model's inputs.
    pub inputs: Vec<u32>,
    /// Tensor numbers of the model's outputs.
    pub outputs: Vec<u32>,
    /// Quantisation records.
    pub quants: Vec<QuantRecord>,
    /// Goldens.
    pub cases: Vec<CaseDraft>,
    /// Metadata.
    pub meta: BTreeMap<String, String>,
}

/// A tensor of a [`Draft`].
#[derive(Clone, Debug)]
pub struct TensorDraft {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its element type and shape.
    pub tensor_type: TensorType,
    /// How its elements lie in memory.
    pub layout: Layout,
    /// 1 + number of its quantisation record; 0 for none.
    pub quant: u32,
    /// Where it lies.
    pub memory: Memory,
}

/// Where a tensor lies, with its bytes if the file holds them.
#[derive(Clone, Debug)]
pub enum Memory {
    /// In the weights section.
    Constant(Vec<u8>),
    /// At this offset of the arena.
    Arena(u32),
    /// At this offset of the state memory, with these bytes before the first run.
    State(u32, Vec<u8>),
    /// At this offset of the far arena.
    Far(u32),
}

/// A step of a [`Draft`].
#[derive(Clone, Debug)]
pub struct StepDraft {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its operator.
    pub op: OpCode,
    /// Its parameter record.
    pub params: Vec<u8>,
    /// Tensor numbers of its inputs.
    pub inputs: Vec<u32>,
    /// Tensor numbers of its outputs.
    pub outputs: Vec<u32>,
    /// Tensor numbers of its scratch memory.
    pub scratches: Vec<u32>,
}

/// A golden case of a [`Draft`].
#[derive(Clone, Debug)]
pub struct CaseDraft {
    /// Bytes of each input.
    pub inputs: Vec<Vec<u8>>,
    /// Bytes of each expected output.
    pub outputs: Vec<Vec<u8>>,
    /// Tolerances; the other fields are set by the writer.
    pub tolerances: CaseRecord,
    /// Receipts, by step.
    pub receipts: Vec<ReceiptRecord>,
}

/// Why a draft cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The file would be longer than 4 GiB.
    TooLarge,
    /// The bytes of a constant or of a state's initial value are not as many as its type and
    /// layout make.
    DataLength {
        /// Number of the tensor.
        tensor: u32,
    },
    /// A golden has not exactly one value for each input and output, as long as that.
    CaseLength {
        /// Number of the golden case.
        case: u32,
    },
    /// The draft breaks a rule of the format.
    Invalid(Error),
}

impl core::fmt::Display for WriteError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the file would be longer than 4 GiB"),
            Self::DataLength { tensor } => {
                write!(f, "the data of tensor {tensor} are not as long as its type and layout make")
            }
            Self::CaseLength { case } => {
                write!(f, "golden {case} does not have the model's inputs and outputs, each as long as it is")
            }
            Self::Invalid(error) => write!(f, "the file would break a rule of its format: {error}"),
        }
    }
}

impl core::error::Error for WriteError {}

/// Section bodies before they have offsets.
struct Sections(Vec<(SectionKind, u32, Vec<u8>)>);

impl Sections {
    fn records<T: Pod>(&mut self, kind: SectionKind, records: &[T]) {
        self.bytes(kind, ALIGN, bytemuck::cast_slice(records).to_vec());
    }

    fn bytes(&mut self, kind: SectionKind, align: u32, bytes: Vec<u8>) {
        let required = matches!(
            kind,
            SectionKind::Tensors
                | SectionKind::Steps
                | SectionKind::Operands
                | SectionKind::Inputs
                | SectionKind::Outputs
        );
        if required || !bytes.is_empty() {
            self.0.push((kind, align, bytes));
        }
    }

    /// Where each section begins, and where the file ends.
    fn layout(&self) -> Result<(Vec<u32>, u32), WriteError> {
        let mut end = (HEADER_BYTES + self.0.len() * size_of::<SectionRecord>()) as u64;
        let mut offsets = Vec::new();
        for (_, align, bytes) in &self.0 {
            let start = end.next_multiple_of(u64::from(*align));
            offsets.push(start as u32);
            end = start + bytes.len() as u64;
        }
        Ok((offsets, u32::try_from(end).map_err(|_| WriteError::TooLarge)?))
    }

    fn offset(&self, offsets: &[u32], kind: SectionKind) -> u32 {
        self.0.iter().zip(offsets).find(|((k, _, _), _)| *k == kind).map_or(0, |(_, offset)| *offset)
    }

    fn body<T: Pod>(&mut self, kind: SectionKind) -> &mut [T] {
        let found = self.0.iter_mut().find(|(k, _, _)| *k == kind);
        found.and_then(|(_, _, b)| bytemuck::try_cast_slice_mut(b).ok()).unwrap_or_default()
    }
}

/// The tensor table with the data that it points to.
struct Tensors {
    records: Vec<TensorRecord>,
    weights: Vec<u8>,
    state: Vec<u8>,
}

/// The goldens with the data and receipts that they point to.
struct Goldens {
    cases: Vec<CaseRecord>,
    receipts: Vec<ReceiptRecord>,
    data: Vec<u8>,
}

/// Text, with where each piece lies.
#[derive(Default)]
struct Strings(Vec<u8>);

impl Strings {
    fn push(&mut self, text: &str) -> StringRef {
        let offset = self.0.len() as u32;
        self.0.extend_from_slice(text.as_bytes());
        StringRef { offset, bytes: text.len() as u32 }
    }
}

impl Draft {
    /// Alignment of tensors and, for gateways, of the weights section to a page.
    fn aligns(&self) -> (u32, u32) {
        match self.target {
            Target::Linux => (64, 4096),
            Target::Portable | Target::CortexM => (ALIGN, ALIGN),
        }
    }

    /// The bytes of the file, in aligned memory, and their number. The same draft gives the same
    /// bytes. What is returned has passed [`Model::parse`].
    ///
    /// # Errors
    /// If the file would be longer than 4 GiB or break a rule of the format, or if data are not as
    /// long as the tensor that they belong to.
    pub fn write(&self) -> Result<(Vec<Block>, usize), WriteError> {
        let (align, weights_align) = self.aligns();
        let mut sections = Sections(Vec::new());
        let Tensors { records: tensors, weights, state } = self.tensor_records(align)?;
        let (steps, operands, params) = self.step_records();
        let mut strings = Strings::default();
        let names = self.name_records(&mut strings);
        let meta: Vec<MetaRecord> = self
            .meta
            .iter()
            .map(|(key, value)| MetaRecord { key: strings.push(key), value: strings.push(value) })
            .collect();
        let goldens = self.golden_records(&tensors)?;
        let [arena_bytes, far_bytes] = [Place::Arena, Place::Far].map(|place| end_of(place, &tensors));

        sections.records(SectionKind::Tensors, &tensors);
        sections.records(SectionKind::Steps, &steps);
        sections.records(SectionKind::Operands, &operands);
        sections.bytes(SectionKind::Params, ALIGN, params);
        sections.bytes(SectionKind::Weights, weights_align, weights);
        sections.records(SectionKind::Inputs, &self.inputs);
        sections.records(SectionKind::Outputs, &self.outputs);
        sections.records(SectionKind::Quant, &self.quants);
        sections.bytes(SectionKind::StateInit, ALIGN, state.clone());
        sections.records(SectionKind::Goldens, &goldens.cases);
        sections.records(SectionKind::Receipts, &goldens.receipts);
        sections.bytes(SectionKind::GoldenData, ALIGN, goldens.data);
        sections.records(SectionKind::Names, &names);
        sections.records(SectionKind::Meta, &meta);
        sections.bytes(SectionKind::Strings, ALIGN, strings.0);

        let (offsets, file_bytes) = sections.layout()?;
        self.set_file_offsets(&mut sections, &offsets);
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            file_bytes,
            section_count: sections.0.len() as u32,
            target: self.target as u32,
            align,
            required_ops: self.required_ops(),
            arena_bytes,
            state_bytes: state.len() as u32,
            scratch_bytes: self.scratch_bytes(),
            macs: self.macs(),
            far_bytes,
            ..Header::zeroed()
        };
        let blocks = assemble(header, &sections, &offsets);
        let bytes = Block::bytes(&blocks).get(..file_bytes as usize).unwrap_or_default();
        Model::parse(bytes).map_err(WriteError::Invalid)?;
        Ok((blocks, file_bytes as usize))
    }

    fn tensor_records(&self, align: u32) -> Result<Tensors, WriteError> {
        let mut records = Vec::new();
        let (mut weights, mut state) = (Vec::new(), Vec::new());
        let mut previous: Option<(u32, &[u8])> = None;
        for (number, tensor) in self.tensors.iter().enumerate() {
            let shape = tensor.tensor_type.shape;
            let mut record = TensorRecord {
                dtype: tensor.tensor_type.dtype as u8,
                layout: tensor.layout as u8,
                rank: shape.rank() as u8,
                bytes: tensor.tensor_type.bytes(tensor.layout).ok_or(WriteError::TooLarge)?,
                quant: tensor.quant,
                ..TensorRecord::zeroed()
            };
            record.dims.iter_mut().zip(shape.dims()).for_each(|(to, from)| *to = *from);
            match &tensor.memory {
                Memory::Constant(data) | Memory::State(_, data) if data.len() != record.bytes as usize => {
                    return Err(WriteError::DataLength { tensor: number as u32 });
                }
                Memory::Constant(bytes) => {
                    record.place = Place::Constant as u8;
                    record.offset = match previous {
                        Some((offset, same)) if same == bytes.as_slice() => offset,
                        _ => append_aligned(&mut weights, bytes, align)?,
                    };
                    previous = Some((record.offset, bytes));
                }
                Memory::Arena(offset) => {
                    record.place = Place::Arena as u8;
                    record.offset = *offset;
                }
                Memory::Far(offset) => {
                    record.place = Place::Far as u8;
                    record.offset = *offset;
                }
                Memory::State(offset, init) => {
                    record.place = Place::State as u8;
                    record.offset = *offset;
                    let end = *offset as usize + init.len();
                    state.resize(state.len().max(end.next_multiple_of(ALIGN as usize)), 0);
                    if let Some(to) = state.get_mut(*offset as usize..end) {
                        to.copy_from_slice(init);
                    }
                }
            }
            records.push(record);
        }
        Ok(Tensors { records, weights, state })
    }

    fn step_records(&self) -> (Vec<StepRecord>, Vec<u32>, Vec<u8>) {
        let mut records = Vec::new();
        let (mut operands, mut params) = (Vec::new(), Vec::new());
        for step in &self.steps {
            records.push(StepRecord {
                op: step.op as u16,
                input_count: step.inputs.len() as u8,
                output_count: step.outputs.len() as u8,
                scratch_count: step.scratches.len() as u8,
                first_operand: operands.len() as u32,
                params_offset: params.len() as u32,
                params_bytes: step.params.len() as u32,
                ..StepRecord::zeroed()
            });
            operands.extend(step.inputs.iter().chain(&step.outputs).chain(&step.scratches));
            params.extend_from_slice(&step.params);
        }
        (records, operands, params)
    }

    fn name_records(&self, strings: &mut Strings) -> Vec<NameRecord> {
        let tensors = self.tensors.iter().map(|t| (NameKind::Tensor, &t.name)).enumerate();
        let steps = self.steps.iter().map(|s| (NameKind::Step, &s.name)).enumerate();
        tensors
            .chain(steps)
            .filter_map(|(index, (kind, name))| {
                let name = strings.push(name.as_ref()?);
                Some(NameRecord { kind: kind as u32, index: index as u32, name })
            })
            .collect()
    }

    fn golden_records(&self, tensors: &[TensorRecord]) -> Result<Goldens, WriteError> {
        let bytes = |numbers: &[u32]| -> Vec<usize> {
            numbers.iter().filter_map(|&n| Some(tensors.get(n as usize)?.bytes as usize)).collect()
        };
        let bytes = (bytes(&self.inputs), bytes(&self.outputs));
        let lengths = |values: &[Vec<u8>]| -> Vec<usize> { values.iter().map(Vec::len).collect() };
        let (mut cases, mut receipts, mut data) = (Vec::new(), Vec::new(), Vec::new());
        for (number, case) in self.cases.iter().enumerate() {
            if (lengths(&case.inputs), lengths(&case.outputs)) != bytes {
                return Err(WriteError::CaseLength { case: number as u32 });
            }
            let start = data.len();
            for values in case.inputs.iter().chain(&case.outputs) {
                data.extend_from_slice(values);
                data.resize(data.len().next_multiple_of(ALIGN as usize), 0);
            }
            cases.push(CaseRecord {
                data_offset: start as u32,
                data_bytes: (data.len() - start) as u32,
                receipt_count: case.receipts.len() as u32,
                ..case.tolerances
            });
            receipts.extend_from_slice(&case.receipts);
        }
        Ok(Goldens { cases, receipts, data })
    }

    /// Turns offsets within a section into offsets within the file.
    fn set_file_offsets(&self, sections: &mut Sections, offsets: &[u32]) {
        let weights = sections.offset(offsets, SectionKind::Weights);
        let params = sections.offset(offsets, SectionKind::Params);
        let data = sections.offset(offsets, SectionKind::GoldenData);
        for tensor in sections.body::<TensorRecord>(SectionKind::Tensors) {
            if tensor.place == Place::Constant as u8 {
                tensor.offset += weights;
            }
        }
        for step in sections.body::<StepRecord>(SectionKind::Steps) {
            step.params_offset += params;
        }
        for case in sections.body::<CaseRecord>(SectionKind::Goldens) {
            case.data_offset += data;
        }
    }

    fn required_ops(&self) -> [u32; 8] {
        let mut ops = [0u32; 8];
        for step in &self.steps {
            if let Some(word) = ops.get_mut(step.op as usize / 32) {
                *word |= 1 << (step.op as u32 % 32);
            }
        }
        ops
    }

    fn types(&self, numbers: &[u32]) -> Vec<TensorType> {
        numbers.iter().filter_map(|&n| Some(self.tensors.get(n as usize)?.tensor_type)).collect()
    }

    fn macs(&self) -> u64 {
        let of = |step: &StepDraft| {
            let output = self.types(&step.outputs).first().copied()?;
            Some((step.op.rule().macs)(&step.params, &self.types(&step.inputs), &output))
        };
        self.steps.iter().filter_map(of).fold(0, u64::saturating_add)
    }

    fn scratch_bytes(&self) -> u32 {
        let bytes = |step: &StepDraft| {
            let types = self.types(&step.scratches);
            types.iter().filter_map(|t| t.bytes(Layout::Rows)).fold(0, u32::saturating_add)
        };
        self.steps.iter().map(bytes).max().unwrap_or(0)
    }
}

fn append_aligned(to: &mut Vec<u8>, bytes: &[u8], align: u32) -> Result<u32, WriteError> {
    to.resize(to.len().next_multiple_of(align as usize), 0);
    let offset = u32::try_from(to.len()).map_err(|_| WriteError::TooLarge)?;
    to.extend_from_slice(bytes);
    Ok(offset)
}

/// Where the last tensor of a place ends, aligned.
fn end_of(place: Place, tensors: &[TensorRecord]) -> u32 {
    let tensors = tensors.iter().filter(|t| t.place == place as u8);
    tensors.map(|t| t.offset.saturating_add(t.bytes)).max().unwrap_or(0).next_multiple_of(ALIGN)
}

fn assemble(mut header: Header, sections: &Sections, offsets: &[u32]) -> Vec<Block> {
    let directory: Vec<SectionRecord> = sections
        .0
        .iter()
        .zip(offsets)
        .map(|((kind, align, bytes), &offset)| SectionRecord {
            kind: *kind as u16,
            critical: kind.critical().into(),
            align: *align,
            offset,
            bytes: bytes.len() as u32,
            crc32: crc32(bytes),
            reserved: 0,
        })
        .collect();
    header.header_crc32 = rules::header_crc32(&header, bytemuck::cast_slice(&directory));
    let mut blocks = vec![Block::ZERO; Block::count(header.file_bytes as usize)];
    let file = Block::bytes_mut(&mut blocks);
    let mut put = |offset: usize, bytes: &[u8]| {
        if let Some(to) = file.get_mut(offset..offset + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    };
    put(0, bytemuck::bytes_of(&header));
    put(HEADER_BYTES, bytemuck::cast_slice(&directory));
    for ((_, _, bytes), &offset) in sections.0.iter().zip(offsets) {
        put(offset as usize, bytes);
    }
    blocks
}
