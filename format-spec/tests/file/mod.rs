//! A small file with something in every section, and ways to damage it.

#![allow(dead_code)]

use bytemuck::{Pod, Zeroable};
use flatpack_format::ops::Clamp;
use flatpack_format::ops::clip::ClipParams;
use flatpack_format::ops::fully_connected::FullyConnectedParams;
use flatpack_format::writer::{CaseDraft, Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{
    Block, CaseRecord, DType, Error, Header, Layout, Model, OpCode, Place, QuantRecord, ReceiptRecord,
    SectionKind, SectionRecord, Shape, StepRecord, Target, TensorRecord, TensorType,
};
use std::collections::BTreeMap;

fn tensor(name: &str, dtype: DType, dims: &[u32], memory: Memory) -> TensorDraft {
    let shape = Shape::new(dims).unwrap();
    TensorDraft {
        name: Some(name.into()),
        tensor_type: TensorType { dtype, shape },
        layout: Layout::Rows,
        quant: 0,
        memory,
    }
}

fn f32s(values: &[f32]) -> Vec<u8> {
    bytemuck::cast_slice(values).to_vec()
}

/// Three rows of a panel with five outputs.
fn panels(outputs: &[f32; 5]) -> Vec<u8> {
    let mut row = [0.0; 16];
    row[..5].copy_from_slice(outputs);
    f32s(&row).repeat(3)
}

fn step(name: &str, op: OpCode, params: &[u8], operands: [&[u32]; 3]) -> StepDraft {
    let [inputs, outputs, scratches] = operands.map(<[u32]>::to_vec);
    StepDraft { name: Some(name.into()), op, params: params.to_vec(), inputs, outputs, scratches }
}

/// Numbers of the sample's tensors.
pub(crate) const X: u32 = 0;
pub(crate) const Q: u32 = 1;
pub(crate) const BIAS: u32 = 2;
pub(crate) const SCALES: u32 = 3;
pub(crate) const W: u32 = 4;
pub(crate) const DENSE: u32 = 5;
pub(crate) const CLIPPED: u32 = 6;
pub(crate) const Y: u32 = 7;
pub(crate) const SCRATCH: u32 = 8;
pub(crate) const TOTAL: u32 = 9;

/// A draft with something in every section: four steps, two golden cases, a state.
pub(crate) fn sample() -> Draft {
    let five = f32s(&[0.5, 1.0, 1.5, 2.0, 2.5]);
    let clamp = Clamp { min: 0.0, max: 6.0 };
    let mut tensors = vec![
        tensor("x", DType::F32, &[1, 3], Memory::Arena(0)),
        tensor("q", DType::I8, &[5, 3], Memory::Constant((1..16).collect())),
        tensor("bias", DType::F32, &[5], Memory::Constant(five.clone())),
        tensor("scales", DType::F32, &[5], Memory::Constant(five)),
        tensor("w", DType::F32, &[5, 3], Memory::Constant(panels(&[0.25; 5]))),
        tensor("dense", DType::F32, &[1, 5], Memory::Arena(16)),
        tensor("clipped", DType::F32, &[1, 5], Memory::Arena(16)),
        tensor("y", DType::F32, &[1, 5], Memory::Arena(48)),
        tensor("scratch", DType::U8, &[7], Memory::Arena(80)),
        tensor("total", DType::F32, &[1, 5], Memory::State(0, f32s(&[1.0; 5]))),
    ];
    tensors[Q as usize].quant = 1;
    tensors[W as usize].layout = Layout::Panel16;
    tensors[SCRATCH as usize].name = None;
    let receipt = |step: u32| ReceiptRecord {
        step,
        exact: 0,
        crc32: 0,
        sum: 1.0,
        sum_abs: 1.0,
        max_abs: 1.0,
        probe_index: [0, 1, 2, 4],
        probe_value: [0.25; 4],
    };
    let case = |steps: &[u32]| CaseDraft {
        inputs: vec![f32s(&[1.0, 2.0, 3.0])],
        outputs: vec![f32s(&[2.0, 2.5, 3.0, 3.5, 4.0])],
        tolerances: CaseRecord { abs_tolerance: 1e-5, rel_tolerance: 1e-6, ..CaseRecord::zeroed() },
        receipts: steps.iter().map(|&step| receipt(step)).collect(),
    };
    Draft {
        target: Target::Portable,
        tensors,
        steps: vec![
            step(
                "dense",
                OpCode::FullyConnected,
                bytemuck::bytes_of(&FullyConnectedParams { clamp: Clamp::NONE }),
                [&[X, W, BIAS], &[DENSE], &[]],
            ),
            step(
                "relu6",
                OpCode::Clip,
                bytemuck::bytes_of(&ClipParams { clamp }),
                [&[DENSE], &[CLIPPED], &[]],
            ),
            step("abs", OpCode::Abs, &[], [&[CLIPPED], &[Y], &[SCRATCH]]),
            step(
                "add",
                OpCode::Add,
                bytemuck::bytes_of(&ClipParams { clamp: Clamp::NONE }),
                [&[Y, TOTAL], &[TOTAL], &[]],
            ),
        ],
        inputs: vec![X],
        outputs: vec![Y],
        quants: vec![QuantRecord { scale: 0.5, zero_point: 0, axis: 0, scales: SCALES }],
        cases: vec![case(&[0, 2]), case(&[1])],
        meta: BTreeMap::from([
            ("source.file".into(), "sample.h5".into()),
            ("labels".into(), "grün\nrot".into()),
        ]),
    }
}

/// One section of a file that is taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) kind: u16,
    pub(crate) critical: u16,
    pub(crate) align: u32,
    pub(crate) bytes: Vec<u8>,
}

/// The bytes of a file in aligned memory.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) blocks: Vec<Block>,
    pub(crate) len: usize,
}

impl File {
    pub(crate) fn of(draft: &Draft) -> Self {
        let (blocks, len) = draft.write().unwrap();
        Self { blocks, len }
    }

    pub(crate) fn sample() -> Self {
        Self::of(&sample())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &Block::bytes(&self.blocks)[..self.len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut Block::bytes_mut(&mut self.blocks)[..self.len]
    }

    /// Parses and reads the whole file.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        Model::parse(self.bytes())?.check_contents()
    }

    pub(crate) fn resize(&mut self, len: usize) {
        self.blocks.resize(Block::count(len), Block::ZERO);
        self.len = len;
    }

    pub(crate) fn header(&mut self) -> &mut Header {
        bytemuck::from_bytes_mut(&mut self.bytes_mut()[..size_of::<Header>()])
    }

    pub(crate) fn directory(&mut self) -> &mut [SectionRecord] {
        let count = self.header().section_count as usize;
        let end = size_of::<Header>() + count * size_of::<SectionRecord>();
        bytemuck::cast_slice_mut(&mut self.bytes_mut()[size_of::<Header>()..end])
    }

    /// Index of a section in the directory.
    pub(crate) fn index(&mut self, kind: SectionKind) -> usize {
        self.directory().iter().position(|s| s.kind == kind as u16).unwrap()
    }

    pub(crate) fn section(&mut self, kind: SectionKind) -> &mut SectionRecord {
        let index = self.index(kind);
        &mut self.directory()[index]
    }

    /// The records of a section.
    pub(crate) fn records<T: Pod>(&mut self, kind: SectionKind) -> &mut [T] {
        let SectionRecord { offset, bytes, .. } = *self.section(kind);
        bytemuck::cast_slice_mut(&mut self.bytes_mut()[offset as usize..(offset + bytes) as usize])
    }

    pub(crate) fn tensors(&mut self) -> &mut [TensorRecord] {
        self.records(SectionKind::Tensors)
    }

    pub(crate) fn steps(&mut self) -> &mut [StepRecord] {
        self.records(SectionKind::Steps)
    }

    /// Where record `index` of a section of `T`s begins.
    pub(crate) fn at<T>(&mut self, kind: SectionKind, index: usize) -> u32 {
        self.section(kind).offset + (index * size_of::<T>()) as u32
    }

    /// Where tensor record `number` begins.
    pub(crate) fn tensor_at(&mut self, number: u32) -> u32 {
        self.at::<TensorRecord>(SectionKind::Tensors, number as usize)
    }

    /// Where step record `number` begins.
    pub(crate) fn step_at(&mut self, number: usize) -> u32 {
        self.at::<StepRecord>(SectionKind::Steps, number)
    }

    /// Where the directory entry of a section begins.
    pub(crate) fn entry_at(&mut self, kind: SectionKind) -> u32 {
        (size_of::<Header>() + self.index(kind) * size_of::<SectionRecord>()) as u32
    }

    /// Makes the checksum of each section right that lies within the file.
    pub(crate) fn repair_sections(&mut self) {
        let crcs: Vec<_> = self
            .directory()
            .to_vec()
            .iter()
            .map(|s| {
                let start = s.offset as usize;
                self.bytes().get(start..start.saturating_add(s.bytes as usize)).map(crc32fast::hash)
            })
            .collect();
        for (section, crc) in self.directory().iter_mut().zip(crcs) {
            section.crc32 = crc.unwrap_or(section.crc32);
        }
    }

    /// Makes the header's checksum right, if the directory lies within the file.
    pub(crate) fn repair_header(&mut self) {
        let Some(header) = self.bytes().get(..size_of::<Header>()) else { return };
        let mut header: Header = bytemuck::pod_read_unaligned(header);
        let directory = (header.section_count as usize)
            .checked_mul(size_of::<SectionRecord>())
            .and_then(|len| self.bytes()[size_of::<Header>()..].get(..len));
        let Some(directory) = directory else { return };
        header.header_crc32 = 0;
        let mut crc = crc32fast::Hasher::new();
        crc.update(bytemuck::bytes_of(&header));
        crc.update(directory);
        self.header().header_crc32 = crc.finalize();
    }

    pub(crate) fn parts(&mut self) -> Vec<Section> {
        let directory = self.directory().to_vec();
        let of = |s: &SectionRecord| Section {
            kind: s.kind,
            critical: s.critical,
            align: s.align,
            bytes: self.bytes()[s.offset as usize..(s.offset + s.bytes) as usize].to_vec(),
        };
        directory.iter().map(of).collect()
    }

    /// Takes the file apart and puts it together again after `edit`, with offsets and checksums
    /// that are right.
    pub(crate) fn rebuild(&mut self, edit: impl FnOnce(&mut Vec<Section>)) {
        let mut parts = self.parts();
        let kinds = [SectionKind::Weights, SectionKind::Params, SectionKind::GoldenData];
        let old = kinds.map(|kind| self.directory().iter().find(|s| s.kind == kind as u16).map(|s| s.offset));
        edit(&mut parts);
        let mut end = size_of::<Header>() + parts.len() * size_of::<SectionRecord>();
        let mut directory = Vec::new();
        for part in &parts {
            let offset = end.next_multiple_of(part.align as usize);
            end = offset + part.bytes.len();
            directory.push(SectionRecord {
                kind: part.kind,
                critical: part.critical,
                align: part.align,
                offset: offset as u32,
                bytes: part.bytes.len() as u32,
                crc32: 0,
                reserved: 0,
            });
        }
        let header = Header { file_bytes: end as u32, section_count: parts.len() as u32, ..*self.header() };
        self.blocks.fill(Block::ZERO);
        self.resize(end);
        *self.header() = header;
        self.directory().copy_from_slice(&directory);
        for (part, section) in parts.iter().zip(&directory) {
            let start = section.offset as usize;
            self.bytes_mut()[start..start + part.bytes.len()].copy_from_slice(&part.bytes);
        }
        let new = kinds.map(|kind| directory.iter().find(|s| s.kind == kind as u16).map(|s| s.offset));
        let shift = |i: usize| new[i].zip(old[i]).map_or(0, |(new, old)| new.wrapping_sub(old));
        let has = |kind: SectionKind, record_bytes: usize| {
            let whole = |s: &SectionRecord| (s.bytes as usize).is_multiple_of(record_bytes);
            directory.iter().any(|s| s.kind == kind as u16 && whole(s))
        };
        if has(SectionKind::Tensors, size_of::<TensorRecord>()) {
            for tensor in self.tensors().iter_mut().filter(|t| t.place == Place::Constant as u8) {
                tensor.offset = tensor.offset.wrapping_add(shift(0));
            }
        }
        if has(SectionKind::Steps, size_of::<StepRecord>()) {
            for step in self.steps() {
                step.params_offset = step.params_offset.wrapping_add(shift(1));
            }
        }
        if has(SectionKind::Goldens, size_of::<CaseRecord>()) {
            for case in self.records::<CaseRecord>(SectionKind::Goldens) {
                case.data_offset = case.data_offset.wrapping_add(shift(2));
            }
        }
        self.repair_sections();
        self.repair_header();
    }

    /// The bytes of one section, to be made longer or shorter; see [`File::rebuild`].
    pub(crate) fn edit(&mut self, kind: SectionKind, edit: impl FnOnce(&mut Vec<u8>)) {
        self.rebuild(|parts| edit(&mut parts.iter_mut().find(|p| p.kind == kind as u16).unwrap().bytes));
    }
}

/// Calls every accessor of a model, and holds it to what its documentation promises.
pub(crate) fn walk(model: &Model<'_>) {
    let _ = (model.target(), model.header().requires_op(u16::MAX));
    for section in model.sections() {
        assert_eq!(model.section_bytes(section).len(), section.bytes as usize);
    }
    for kind in SectionKind::ALL {
        model.section(*kind);
    }
    for tensor in model.tensors() {
        let record = &model.tensor_records()[tensor.number() as usize];
        assert_eq!(tensor.dtype() as u8, record.dtype);
        assert_eq!(tensor.place() as u8, record.place);
        assert_eq!(tensor.layout() as u8, record.layout);
        assert_eq!(tensor.shape().rank(), record.rank as usize);
        assert_eq!(tensor.tensor_type().bytes(tensor.layout()), Some(tensor.bytes()));
        assert!(!tensor.is_empty());
        assert!(tensor.quant().is_none_or(|q| (q as usize) < model.quants().len()));
        let end = tensor.offset().checked_add(tensor.bytes()).unwrap();
        assert!(match tensor.place() {
            Place::Constant => end <= model.header().file_bytes,
            Place::Arena => end <= model.header().arena_bytes,
            Place::State => end <= model.header().state_bytes,
            Place::Far => end <= model.header().far_bytes,
        });
        assert!(tensor.offset().is_multiple_of(tensor.dtype().bytes()));
        model.tensor_name(tensor.number());
    }
    assert!(model.tensor(model.tensors().len() as u32).is_none());
    for step in model.steps() {
        assert_eq!(step.params().len(), step.op().params_bytes() as usize);
        assert_eq!(step.inputs().count(), step.input_count());
        assert_eq!(step.outputs().count(), step.output_count());
        assert_eq!(step.writes().count(), step.outputs().count() + step.scratches().count());
        assert!(step.writes().count() <= 8 && step.output_count() >= 1 && step.input_count() <= 16);
        for (at, write) in step.writes().enumerate() {
            assert!(write.place() != Place::Constant);
            assert!(step.writes().skip(at + 1).all(|other| !other.overlaps(&write)));
            for (from, read) in step.inputs().enumerate().filter(|(_, read)| read.overlaps(&write)) {
                let in_part = (from, at) == (0, 0);
                assert!((in_part || read.same_memory(&write)) && at < step.output_count());
            }
        }
        assert!(model.header().requires_op(step.op() as u16));
        model.step_name(step.number());
    }
    assert!(model.step(model.steps().len() as u32).is_none());
    assert_eq!(model.inputs().count(), model.input_numbers().len());
    assert_eq!(model.outputs().count(), model.output_numbers().len());
    let mut receipts = 0;
    for case in model.cases() {
        assert_eq!(case.inputs().count(), model.inputs().count());
        assert_eq!(case.outputs().count(), model.outputs().count());
        assert!(case.inputs().chain(case.outputs()).all(|(t, data)| data.len() == t.bytes() as usize));
        assert_eq!(case.receipts().len(), case.record().receipt_count as usize);
        for receipt in case.receipts() {
            let output = model.step(receipt.step).unwrap().output().unwrap();
            assert!(receipt.probe_index.iter().all(|&i| i < output.len()));
        }
        receipts += case.receipts().len();
    }
    assert_eq!(receipts * size_of::<ReceiptRecord>(), model.section(SectionKind::Receipts).len());
    let meta = model.section(SectionKind::Meta).len() / size_of::<flatpack_format::MetaRecord>();
    assert!(model.metadata().count() <= meta);
    if model.check_contents().is_ok() {
        assert_eq!(model.metadata().count(), meta);
        assert!(model.metadata().map(|(key, _)| key).is_sorted_by(|a, b| a < b));
    }
}
