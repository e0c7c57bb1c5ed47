//! The checked view of a file.

use crate::ALIGN;
use crate::golden::{CaseRecord, ReceiptRecord};
use crate::header::{Header, Target};
use crate::meta::{MetaRecord, NameKind, NameRecord};
use crate::op::{OpCode, StepRecord};
use crate::quant::QuantRecord;
use crate::rules::{self, Error, HEADER_BYTES, Rule};
use crate::section::{SectionKind, SectionRecord, Span, Spans};
use crate::shape::Shape;
use crate::tensor::{DType, Layout, Place, TensorRecord, TensorType};
use bytemuck::Pod;

/// A file that has passed [`Model::parse`]. Copying it copies references.
///
/// No accessor can fail: those that take a number give `None` for one that does not exist.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    bytes: &'a [u8],
    header: &'a Header,
    sections: &'a [SectionRecord],
    tensors: &'a [TensorRecord],
    steps: &'a [StepRecord],
    operands: &'a [u32],
    inputs: &'a [u32],
    outputs: &'a [u32],
}

impl<'a> Model<'a> {
    /// The file that a memory begins with, such as a partition of flash, which is longer. The whole memory
    /// if its header says no length that it has, or there is none: [`Model::parse`] says what is wrong.
    pub fn file_in(memory: &[u8]) -> &[u8] {
        let length = memory.get(12..16).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        length.and_then(|length| memory.get(..length as usize)).unwrap_or(memory)
    }

    /// Checks rules V01 to V22 and gives a view of the file.
    ///
    /// Allocates nothing, takes time linear in the size of the tables, and reads neither weights nor
    /// texts; [`Model::check_contents`] does.
    ///
    /// # Errors
    /// The first rule that the file breaks, and where.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        rules::v05_alignment(bytes)?;
        rules::v02_magic(bytes)?;
        rules::v01_length(bytes)?;
        let (header, sections) = Self::head(bytes, |header| {
            rules::v03_version(header)?;
            rules::v01_file_bytes(header, bytes)
        })?;
        rules::v04_header_crc(header, sections)?;
        rules::v06_header(header)?;
        rules::v07_directory(sections)?;
        rules::v08_sections(bytes, sections)?;
        let spans = Spans::of(sections);
        rules::v09_records(&spans)?;
        let model = Self::view(bytes, header, sections, &spans);
        let ends = rules::v10_to_v12_tensors(&model, &spans)?;
        let used = rules::v13_to_v16_steps(&model, &spans)?;
        rules::v17_interface(&model, &spans)?;
        rules::v18_sums(header, &ends, &used)?;
        rules::v19_quant(&model, &spans)?;
        rules::v20_state(header, &spans)?;
        rules::v21_cases(&model, &spans)?;
        rules::v22_receipts(&model, &spans)?;
        Ok(model)
    }

    /// The view of a file that [`Model::parse`] has accepted before, as of one that is part of a program and was
    /// parsed while that was compiled. Takes no time worth mentioning.
    ///
    /// Of another file it may be a view of nonsense, which no accessor reads out of bounds for.
    ///
    /// # Errors
    /// If the file does not lie in memory as it must, or is shorter than its head.
    pub fn accepted(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, sections) = Self::head(bytes, |_| Ok(()))?;
        Ok(Self::view(bytes, header, sections, &Spans::of(sections)))
    }

    /// The header, which is to be `checked`, and the section directory: of rule V07, that it lies in the file.
    #[inline(always)]
    fn head(
        bytes: &'a [u8],
        check: impl FnOnce(&Header) -> Result<(), Error>,
    ) -> Result<(&'a Header, &'a [SectionRecord]), Error> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(Error { rule: Rule::V01, at: 0 })?;
        let header: &Header =
            bytemuck::try_from_bytes(header).map_err(|_| Error { rule: Rule::V05, at: 0 })?;
        check(header)?;
        let directory = (header.section_count as usize)
            .checked_mul(size_of::<SectionRecord>())
            .and_then(|len| rest.get(..len))
            .ok_or(Error { rule: Rule::V07, at: 16 })?;
        let sections = bytemuck::try_cast_slice(directory).map_err(|_| Error { rule: Rule::V07, at: 16 })?;
        Ok((header, sections))
    }

    fn view(bytes: &'a [u8], header: &'a Header, sections: &'a [SectionRecord], spans: &Spans) -> Self {
        Self {
            bytes,
            header,
            sections,
            tensors: records(bytes, spans.get(SectionKind::Tensors)),
            steps: records(bytes, spans.get(SectionKind::Steps)),
            operands: records(bytes, spans.get(SectionKind::Operands)),
            inputs: records(bytes, spans.get(SectionKind::Inputs)),
            outputs: records(bytes, spans.get(SectionKind::Outputs)),
        }
    }

    /// Reads the whole file: checks names and metadata (V23, V24), the sections' checksums and the pads
    /// within them (V25).
    ///
    /// # Errors
    /// The first rule that the file breaks, and where.
    pub fn check_contents(&self) -> Result<(), Error> {
        let names_end = rules::v23_names(self)?;
        rules::v24_meta(self, names_end)?;
        rules::v25_contents(self)
    }

    /// The file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The header.
    pub fn header(&self) -> &'a Header {
        self.header
    }

    /// The machine that the file was packed for.
    pub fn target(&self) -> Target {
        Target::from_number(self.header.target).unwrap_or(Target::Portable)
    }

    /// The section directory.
    pub fn sections(&self) -> &'a [SectionRecord] {
        self.sections
    }

    /// A file may list many unknown sections.
    fn section_record(&self, kind: SectionKind) -> Option<&'a SectionRecord> {
        // Kinds ascend (V07).
        let found = self.sections.binary_search_by_key(&(kind as u16), |section| section.kind).ok()?;
        self.sections.get(found)
    }

    /// The bytes of a section of this file's directory.
    pub fn section_bytes(&self, section: &SectionRecord) -> &'a [u8] {
        let start = section.offset as usize;
        self.bytes.get(start..start.saturating_add(section.bytes as usize)).unwrap_or_default()
    }

    /// The bytes of a section; empty if it is absent.
    pub fn section(&self, kind: SectionKind) -> &'a [u8] {
        self.section_record(kind).map_or(&[], |section| self.section_bytes(section))
    }

    /// Where a section begins; 0 if it is absent.
    pub(crate) fn offset(&self, kind: SectionKind) -> u32 {
        self.section_record(kind).map_or(0, |section| section.offset)
    }

    /// The records in a span of a section that keeps rules V08 and V09.
    pub(crate) fn in_span<T: Pod>(&self, span: Span) -> &'a [T] {
        records(self.bytes, span)
    }

    /// The records of a section; none if it is absent.
    fn records<T: Pod>(&self, kind: SectionKind) -> &'a [T] {
        bytemuck::try_cast_slice(self.section(kind)).unwrap_or_default()
    }

    /// Tensor records, by number.
    pub fn tensor_records(&self) -> &'a [TensorRecord] {
        self.tensors
    }

    pub(crate) fn step_records(&self) -> &'a [StepRecord] {
        self.steps
    }

    pub(crate) fn operands(&self) -> &'a [u32] {
        self.operands
    }

    /// Quantisation records, by number.
    pub fn quants(&self) -> &'a [QuantRecord] {
        self.records(SectionKind::Quant)
    }

    pub(crate) fn case_records(&self) -> &'a [CaseRecord] {
        self.records(SectionKind::Goldens)
    }

    pub(crate) fn receipt_records(&self) -> &'a [ReceiptRecord] {
        self.records(SectionKind::Receipts)
    }

    pub(crate) fn name_records(&self) -> &'a [NameRecord] {
        self.records(SectionKind::Names)
    }

    pub(crate) fn meta_records(&self) -> &'a [MetaRecord] {
        self.records(SectionKind::Meta)
    }

    /// A tensor by its number.
    pub fn tensor(&self, number: u32) -> Option<Tensor<'a>> {
        Some(Tensor { record: self.tensors.get(number as usize)?, number })
    }

    /// All tensors, by number.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'a>> + use<'a> {
        self.tensors.iter().enumerate().map(|(number, record)| Tensor { record, number: number as u32 })
    }

    /// A step by its number.
    pub fn step(&self, number: u32) -> Option<Step<'a>> {
        Some(self.step_of(self.steps.get(number as usize)?, number))
    }

    /// All steps, in execution order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = Step<'a>> + use<'a> {
        let model = *self;
        self.steps.iter().enumerate().map(move |(number, record)| model.step_of(record, number as u32))
    }

    fn step_of(&self, record: &'a StepRecord, number: u32) -> Step<'a> {
        let Self { bytes, tensors, .. } = *self;
        let operands = self.operands.get(record.first_operand as usize..).unwrap_or_default();
        Step { record, bytes, tensors, operands, number }
    }

    /// Tensor numbers of the model's inputs.
    pub fn input_numbers(&self) -> &'a [u32] {
        self.inputs
    }

    /// Tensor numbers of the model's outputs.
    pub fn output_numbers(&self) -> &'a [u32] {
        self.outputs
    }

    /// The model's inputs, in its own order.
    pub fn inputs(&self) -> impl Iterator<Item = Tensor<'a>> + use<'a> {
        let model = *self;
        self.inputs.iter().filter_map(move |&number| model.tensor(number))
    }

    /// The model's outputs, in its own order.
    pub fn outputs(&self) -> impl Iterator<Item = Tensor<'a>> + use<'a> {
        let model = *self;
        self.outputs.iter().filter_map(move |&number| model.tensor(number))
    }

    /// The goldens.
    pub fn cases(&self) -> impl ExactSizeIterator<Item = Case<'a>> + use<'a> {
        let model = *self;
        let mut receipts = self.receipt_records();
        self.case_records().iter().map(move |record| {
            let (own, rest) = receipts.split_at_checked(record.receipt_count as usize).unwrap_or((&[], &[]));
            receipts = rest;
            Case { record, receipts: own, model }
        })
    }

    fn name(&self, kind: NameKind, index: u32) -> Option<&'a str> {
        let names = self.name_records();
        let found = names.binary_search_by_key(&(kind as u32, index), |name| (name.kind, name.index)).ok()?;
        rules::text(self.section(SectionKind::Strings), names.get(found)?.name)
    }

    /// Name of a tensor; `None` if it has none, names were stripped, or it breaks rule V23.
    pub fn tensor_name(&self, number: u32) -> Option<&'a str> {
        self.name(NameKind::Tensor, number)
    }

    /// Name of a step; `None` if it has none, names were stripped, or it breaks rule V23.
    pub fn step_name(&self, number: u32) -> Option<&'a str> {
        self.name(NameKind::Step, number)
    }

    /// Metadata: keys and values, by key; those left out that break rule V24.
    pub fn metadata(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let strings = self.section(SectionKind::Strings);
        self.meta_records()
            .iter()
            .filter_map(move |m| Some((rules::text(strings, m.key)?, rules::text(strings, m.value)?)))
    }
}

/// Those of a section that keeps rules V08 and V09.
fn records<T: Pod>(bytes: &[u8], span: Span) -> &[T] {
    let section = bytes.get(span.offset as usize..span.end() as usize).unwrap_or_default();
    bytemuck::try_cast_slice(section).unwrap_or_default()
}

/// A tensor of a [`Model`].
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    record: &'a TensorRecord,
    number: u32,
}

impl Tensor<'_> {
    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its element type.
    pub fn dtype(&self) -> DType {
        DType::from_number(self.record.dtype).unwrap_or(DType::U8)
    }

    /// Which memory holds it.
    pub fn place(&self) -> Place {
        Place::from_number(self.record.place).unwrap_or(Place::Arena)
    }

    /// How its elements lie in memory.
    pub fn layout(&self) -> Layout {
        Layout::from_number(self.record.layout).unwrap_or(Layout::Rows)
    }

    /// Its shape, batch included.
    pub fn shape(&self) -> Shape {
        Shape::of_record(&self.record.dims, self.record.rank)
    }

    /// Element type and shape.
    pub fn tensor_type(&self) -> TensorType {
        TensorType { dtype: self.dtype(), shape: self.shape() }
    }

    /// Its first byte, counted as its place says.
    pub fn offset(&self) -> u32 {
        self.record.offset
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> u32 {
        self.record.bytes
    }

    /// Its size in elements.
    pub fn len(&self) -> u32 {
        self.shape().len().unwrap_or(0)
    }

    /// Whether it has no elements; no tensor of a parsed model is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of its quantisation record.
    pub fn quant(&self) -> Option<u32> {
        self.record.quant.checked_sub(1)
    }

    /// Whether the two share a byte of memory that can be written.
    pub fn overlaps(&self, other: &Tensor<'_>) -> bool {
        self.record.overlaps(other.record)
    }

    /// Whether the two are the same bytes.
    pub fn same_memory(&self, other: &Tensor<'_>) -> bool {
        self.record.same_memory(other.record)
    }
}

/// A step of a [`Model`].
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    record: &'a StepRecord,
    bytes: &'a [u8],
    tensors: &'a [TensorRecord],
    /// Numbers of its inputs, outputs, and scratch memory, and then those of the steps after it.
    operands: &'a [u32],
    number: u32,
}

impl<'a> Step<'a> {
    /// Its number: its position in execution order.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its operator.
    pub fn op(&self) -> OpCode {
        OpCode::from_number(self.record.op).unwrap_or(OpCode::Reshape)
    }

    /// The number of its operator.
    pub fn op_number(&self) -> u16 {
        self.record.op
    }

    /// Whether this is its operator.
    pub fn is_of(&self, op: OpCode) -> bool {
        self.record.op == op as u16
    }

    /// Its parameter record, aligned to 4 bytes.
    pub fn params(&self) -> &'a [u8] {
        let start = self.record.params_offset as usize;
        self.bytes.get(start..start.saturating_add(self.record.params_bytes as usize)).unwrap_or_default()
    }

    /// The parameter record as `P`; `None` if it has another size.
    pub fn record<P: Pod>(&self) -> Option<&'a P> {
        bytemuck::try_from_bytes(self.params()).ok()
    }

    /// The elements of input `index`, if it is a constant of elements of type `T`.
    pub fn constant<T: Pod>(&self, index: usize) -> Option<&'a [T]> {
        let tensor = self.input(index).filter(|tensor| tensor.place() == Place::Constant)?;
        let start = tensor.offset() as usize;
        let bytes = self.bytes.get(start..start.saturating_add(tensor.bytes() as usize))?;
        bytemuck::try_cast_slice(bytes).ok()
    }

    /// Number of inputs.
    pub fn input_count(&self) -> usize {
        self.record.input_count.into()
    }

    /// Number of outputs.
    pub fn output_count(&self) -> usize {
        self.record.output_count.into()
    }

    fn operand_range(&self, first: usize, count: usize) -> impl Iterator<Item = Tensor<'a>> + use<'a> {
        let numbers = self.operands.get(first..first.saturating_add(count)).unwrap_or_default();
        let tensors = self.tensors;
        numbers
            .iter()
            .filter_map(move |&number| Some(Tensor { record: tensors.get(number as usize)?, number }))
    }

    /// Operand `at`, of whatever kind.
    #[inline(always)]
    fn operand(&self, at: usize) -> Option<Tensor<'a>> {
        let number = *self.operands.get(at)?;
        Some(Tensor { record: self.tensors.get(number as usize)?, number })
    }

    /// Input `index`.
    pub fn input(&self, index: usize) -> Option<Tensor<'a>> {
        if index < self.input_count() { self.operand(index) } else { None }
    }

    /// Output 0.
    pub fn output(&self) -> Option<Tensor<'a>> {
        if self.output_count() > 0 { self.operand(self.input_count()) } else { None }
    }

    /// Its inputs.
    pub fn inputs(&self) -> impl Iterator<Item = Tensor<'a>> + use<'a> {
        self.operand_range(0, self.input_count())
    }

    /// Its outputs.
    pub fn outputs(&self) -> impl Iterator<Item = Tensor<'a>> + use<'a> {
        self.operand_range(self.input_count(), self.output_count())
    }

    /// Its scratch memory.
    pub fn scratches(&self) -> impl Iterator<Item = Tensor<'a>> + use<'a> {
        self.operand_range(self.input_count() + self.output_count(), self.record.scratch_count.into())
    }

    /// All that it writes: outputs, then scratches.
    pub fn writes(&self) -> impl Iterator<Item = Tensor<'a>> + use<'a> {
        let count = self.output_count() + usize::from(self.record.scratch_count);
        self.operand_range(self.input_count(), count)
    }
}

/// A golden case of a [`Model`].
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    record: &'a CaseRecord,
    receipts: &'a [ReceiptRecord],
    model: Model<'a>,
}

impl<'a> Case<'a> {
    /// Its record, with the tolerances.
    pub fn record(&self) -> &'a CaseRecord {
        self.record
    }

    /// Its receipts, by step.
    pub fn receipts(&self) -> &'a [ReceiptRecord] {
        self.receipts
    }

    /// The tensors of these numbers, with their values, which lie one after the other from `at` on.
    fn values(
        &self,
        numbers: &'a [u32],
        mut at: usize,
    ) -> impl Iterator<Item = (Tensor<'a>, &'a [u8])> + use<'a> {
        let model = self.model;
        numbers.iter().filter_map(move |&number| {
            let tensor = model.tensor(number)?;
            let data = model.bytes.get(at..at.saturating_add(tensor.bytes() as usize)).unwrap_or_default();
            at = past(at, &tensor);
            Some((tensor, data))
        })
    }

    /// The model's inputs with their values.
    pub fn inputs(&self) -> impl Iterator<Item = (Tensor<'a>, &'a [u8])> + use<'a> {
        self.values(self.model.inputs, self.record.data_offset as usize)
    }

    /// The model's outputs with the values that they should have.
    pub fn outputs(&self) -> impl Iterator<Item = (Tensor<'a>, &'a [u8])> + use<'a> {
        let at = self.model.inputs().fold(self.record.data_offset as usize, |at, input| past(at, &input));
        self.values(self.model.outputs, at)
    }
}

/// Where the values lie that follow those of a tensor, which begin at `at`.
fn past(at: usize, tensor: &Tensor<'_>) -> usize {
    at.saturating_add(
        (tensor.bytes() as usize).checked_next_multiple_of(ALIGN as usize).unwrap_or(usize::MAX),
    )
}
