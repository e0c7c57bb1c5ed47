//! What a `.tflite` file holds, each part checked to be there, before anybody asks what it means.

use std::sync::Arc;

use super::builtins;
use super::flatbuffer::{Flatbuffer, Table, damaged};
use super::options::{Options, OptionsTable};
use crate::import::Fault;

/// The most tensors, buffers and operators, those of all subgraphs together.
const MAX_PARTS: usize = 1 << 16;

/// The most subgraphs, codes of operators, signatures and entries of metadata.
const MAX_TABLES: usize = 1 << 12;

/// A model.
#[derive(Clone, Debug)]
pub struct Model<'a> {
    /// The schema's version.
    pub version: u32,
    /// What the converter says of itself.
    pub description: String,
    /// The graphs; the first is the one to run.
    pub subgraphs: Vec<Subgraph<'a>>,
    /// What converters and authors left beside the graphs.
    pub metadata: Vec<Metadata<'a>>,
    /// Names by which callers know inputs and outputs.
    pub signatures: Vec<Signature>,
}

/// A graph of a model.
#[derive(Clone, Debug)]
pub struct Subgraph<'a> {
    /// Its name.
    pub name: String,
    /// Its tensors.
    pub tensors: Vec<Tensor<'a>>,
    /// Numbers of the tensors that are given.
    pub inputs: Vec<usize>,
    /// Numbers of the tensors that are asked for.
    pub outputs: Vec<usize>,
    /// Its operators, in the order in which they run.
    pub operators: Vec<Operator<'a>>,
}

/// A tensor.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: String,
    /// Its extents.
    pub shape: Vec<i32>,
    /// Its extents, with −1 for those that the model leaves open, where the file has both.
    pub shape_signature: Option<Vec<i32>>,
    /// Its element type.
    pub element_type: ElementType,
    /// Its elements, if they are constant.
    pub data: Option<&'a [u8]>,
    /// What its integers stand for.
    pub quantization: Option<Quantization>,
    /// Whether it keeps its value from one run to the next.
    pub is_variable: bool,
    /// Whether only some of its elements are stored.
    pub is_sparse: bool,
}

/// What integers stand for: `scale · (q − zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// One scale, or one for each index along the axis.
    pub scales: Vec<f32>,
    /// As many zero points.
    pub zero_points: Vec<i64>,
    /// The axis along which scales differ.
    pub axis: i32,
    /// Whether the integers mean something else: a custom or blockwise scheme.
    pub is_other_scheme: bool,
}

/// An operator applied to tensors.
#[derive(Clone, Debug)]
pub struct Operator<'a> {
    /// Which one.
    pub code: OperatorCode,
    /// The version of its definition.
    pub version: i32,
    /// Numbers of its inputs; `None` for one that is left out.
    pub inputs: Vec<Option<usize>>,
    /// Numbers of its outputs.
    pub outputs: Vec<usize>,
    /// Numbers of tensors that only describe what lies between.
    pub intermediates: Vec<Option<usize>>,
    /// Its options, if it is builtin.
    pub options: Options,
    /// Its options, if it is custom.
    pub custom_options: &'a [u8],
}

/// Which operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorCode {
    /// One of TensorFlow Lite's own, such as `CONV_2D`.
    Builtin(&'static str),
    /// One of TensorFlow Lite's own that is newer than this reader.
    Newer(i32),
    /// Somebody's own.
    Custom(Arc<str>),
}

/// Bytes with a name.
#[derive(Clone, Debug)]
pub struct Metadata<'a> {
    /// The name.
    pub name: String,
    /// The bytes.
    pub data: &'a [u8],
}

/// Names by which callers know inputs and outputs.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The name of the signature.
    pub key: String,
    /// The graph.
    pub subgraph: usize,
    /// Name and tensor of each input.
    pub inputs: Vec<(String, usize)>,
    /// Name and tensor of each output.
    pub outputs: Vec<(String, usize)>,
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the schema")]
pub enum ElementType {
    F32,
    F16,
    I32,
    U8,
    I64,
    String,
    Bool,
    I16,
    Complex64,
    I8,
    F64,
    Complex128,
    U64,
    Resource,
    Variant,
    U32,
    U16,
    I4,
    Bf16,
    I2,
    U4,
    F8E4M3,
    F8E5M2,
}

impl ElementType {
    const ALL: [(Self, &'static str); 23] = [
        (Self::F32, "float32"),
        (Self::F16, "float16"),
        (Self::I32, "int32"),
        (Self::U8, "uint8"),
        (Self::I64, "int64"),
        (Self::String, "string"),
        (Self::Bool, "bool"),
        (Self::I16, "int16"),
        (Self::Complex64, "complex64"),
        (Self::I8, "int8"),
        (Self::F64, "float64"),
        (Self::Complex128, "complex128"),
        (Self::U64, "uint64"),
        (Self::Resource, "resource"),
        (Self::Variant, "variant"),
        (Self::U32, "uint32"),
        (Self::U16, "uint16"),
        (Self::I4, "int4"),
        (Self::Bf16, "bfloat16"),
        (Self::I2, "int2"),
        (Self::U4, "uint4"),
        (Self::F8E4M3, "float8 (e4m3)"),
        (Self::F8E5M2, "float8 (e5m2)"),
    ];

    fn of(number: i8) -> Result<Self, Fault> {
        let known = usize::try_from(number).ok().and_then(|number| Self::ALL.get(number));
        known.map(|(own, _)| *own).ok_or_else(|| damaged(format!("element type number {number}")))
    }

    /// The name that reports give it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }
}

impl OperatorCode {
    /// The name that reports give it.
    pub fn name(&self) -> String {
        match self {
            Self::Builtin(name) => (*name).to_owned(),
            Self::Newer(number) => format!("builtin operator {number}"),
            Self::Custom(name) => name.to_string(),
        }
    }
}

impl Operator<'_> {
    /// The options; those by default where it has none.
    ///
    /// # Errors
    /// If it has those of another operator.
    pub fn options<O: OptionsTable>(&self) -> Result<O, Fault> {
        match (&self.options, O::of(&self.options)) {
            (_, Some(options)) => Ok(options.clone()),
            (Options::Absent, None) => Ok(O::default()),
            _ => Err(damaged(format!("{} has the options of another operator", self.code.name()))),
        }
    }
}

impl<'a> Model<'a> {
    /// Reads a whole file.
    ///
    /// # Errors
    /// If a part that the file refers to is not there, or there are more parts than any real model has.
    pub fn read(file: &'a [u8]) -> Result<Self, Fault> {
        let buffer = Flatbuffer::new(file);
        let root = buffer.root()?;
        let codes = root
            .tables(1, "the number of operator codes", MAX_TABLES)?
            .map(|code| operator_code(&code?))
            .collect::<Result<Vec<_>, _>>()?;
        let buffers = root
            .tables(4, "the number of buffers", MAX_PARTS)?
            .map(|table| stored(&buffer, &table?))
            .collect::<Result<Vec<_>, _>>()?;
        let parts = Parts { codes: &codes, buffers: &buffers };
        let mut subgraphs = Vec::new();
        let (mut tensors_left, mut operators_left) = (MAX_PARTS, MAX_PARTS);
        for table in root.tables(2, "the number of subgraphs", MAX_TABLES)? {
            let subgraph = parts.subgraph(&table?, tensors_left, operators_left)?;
            tensors_left -= subgraph.tensors.len();
            operators_left -= subgraph.operators.len();
            subgraphs.push(subgraph);
        }
        let metadata = root
            .tables(6, "the number of entries of metadata", MAX_TABLES)?
            .map(|table| parts.metadata(&table?))
            .collect::<Result<Vec<_>, _>>()?;
        let signatures = root
            .tables(7, "the number of signatures", MAX_TABLES)?
            .map(|table| signature(&table?, &subgraphs))
            .collect::<Result<Vec<_>, _>>()?;
        let description = root.string(3)?;
        Ok(Self { version: root.scalar(0, 0)?, description, subgraphs, metadata, signatures })
    }
}

/// What several parts of a file refer to.
struct Parts<'s, 'a> {
    codes: &'s [(OperatorCode, i32)],
    buffers: &'s [Option<&'a [u8]>],
}

impl<'a> Parts<'_, 'a> {
    /// A subgraph with at most so many tensors and operators.
    fn subgraph(
        &self,
        table: &Table<'_, 'a>,
        tensors: usize,
        operators: usize,
    ) -> Result<Subgraph<'a>, Fault> {
        let tensors = table
            .tables(0, "the number of tensors", tensors)?
            .map(|tensor| self.tensor(&tensor?))
            .collect::<Result<Vec<_>, _>>()?;
        let operators = table
            .tables(3, "the number of operators", operators)?
            .map(|operator| self.operator(&operator?, tensors.len()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Subgraph {
            name: table.string(4)?,
            inputs: all_numbers(table, 1, tensors.len())?,
            outputs: all_numbers(table, 2, tensors.len())?,
            tensors,
            operators,
        })
    }

    fn tensor(&self, table: &Table<'_, 'a>) -> Result<Tensor<'a>, Fault> {
        let buffer: u32 = table.scalar(2, 0)?;
        Ok(Tensor {
            name: table.string(3)?,
            shape: table.vector(0)?.unwrap_or_default(),
            shape_signature: table.vector(7)?,
            element_type: ElementType::of(table.scalar(1, 0)?)?,
            data: if buffer == 0 { None } else { self.buffer(buffer)? },
            quantization: table.table(4)?.map(|table| quantization(&table)).transpose()?.flatten(),
            is_variable: table.scalar(5, false)?,
            is_sparse: table.table(6)?.is_some(),
        })
    }

    fn operator(&self, table: &Table<'_, 'a>, tensors: usize) -> Result<Operator<'a>, Fault> {
        let code: u32 = table.scalar(0, 0)?;
        let known = self.codes.get(code as usize);
        let (code, version) =
            known.cloned().ok_or_else(|| damaged(format!("operator code {code} of {}", self.codes.len())))?;
        Ok(Operator {
            code,
            version,
            inputs: numbers(table, 1, tensors)?,
            outputs: all_numbers(table, 2, tensors)?,
            intermediates: numbers(table, 8, tensors)?,
            options: Options::read(table.scalar(3, 0)?, table.table(4)?)?,
            custom_options: table.bytes(5)?.unwrap_or_default(),
        })
    }

    fn metadata(&self, table: &Table<'_, 'a>) -> Result<Metadata<'a>, Fault> {
        let data = self.buffer(table.scalar(1, 0)?)?.unwrap_or_default();
        Ok(Metadata { name: table.string(0)?, data })
    }

    fn buffer(&self, number: u32) -> Result<Option<&'a [u8]>, Fault> {
        let buffer = self.buffers.get(number as usize).copied();
        buffer.ok_or_else(|| damaged(format!("buffer {number} of {}", self.buffers.len())))
    }
}

/// The code, and the version of the definition that the model means.
fn operator_code(table: &Table<'_, '_>) -> Result<(OperatorCode, i32), Fault> {
    // Numbers that a byte cannot hold came later, in a field of their own.
    let number = i32::from(table.scalar(0, 0i8)?).max(table.scalar(3, 0i32)?);
    let code = match builtins::name(number) {
        Some("CUSTOM") => OperatorCode::Custom(table.string(1)?.into()),
        Some(name) => OperatorCode::Builtin(name),
        None => OperatorCode::Newer(number),
    };
    Ok((code, table.scalar(2, 1)?))
}

/// The bytes of a buffer: within the flatbuffer, or, in files that are too large for it, behind it.
fn stored<'a>(file: &Flatbuffer<'a>, table: &Table<'_, 'a>) -> Result<Option<&'a [u8]>, Fault> {
    let (offset, bytes) = (table.scalar(1, 0u64)?, table.scalar(2, 0u64)?);
    if offset > 1 {
        let data = file.slice(offset, bytes);
        let data = data.ok_or_else(|| damaged(format!("{bytes} bytes of a buffer at byte {offset}")))?;
        file.spend(data.len())?;
        return Ok(Some(data));
    }
    let data = table.bytes(0)?.filter(|data| !data.is_empty());
    file.spend(data.map_or(0, <[u8]>::len))?;
    Ok(data)
}

/// What integers stand for; `None` if no scale says so.
fn quantization(table: &Table<'_, '_>) -> Result<Option<Quantization>, Fault> {
    let scales: Vec<f32> = table.vector(2)?.unwrap_or_default();
    let is_other_scheme = table.scalar(4, 0u8)? != 0;
    if scales.is_empty() && !is_other_scheme {
        return Ok(None);
    }
    let zero_points = table.vector(3)?.unwrap_or_default();
    Ok(Some(Quantization { scales, zero_points, axis: table.scalar(6, 0)?, is_other_scheme }))
}

fn signature(table: &Table<'_, '_>, subgraphs: &[Subgraph<'_>]) -> Result<Signature, Fault> {
    let subgraph = table.scalar(4, 0u32)? as usize;
    let tensors = subgraphs.get(subgraph).map(|subgraph| subgraph.tensors.len());
    let tensors = tensors.ok_or_else(|| damaged(format!("subgraph {subgraph} of {}", subgraphs.len())))?;
    let names = |slot| {
        let maps = table.tables(slot, "the number of names of a signature", MAX_TABLES)?;
        let named = maps.map(|map| {
            let map = map?;
            Ok((map.string(0)?, within(i64::from(map.scalar(1, 0u32)?), tensors)?))
        });
        named.collect::<Result<Vec<_>, Fault>>()
    };
    Ok(Signature { key: table.string(2)?, subgraph, inputs: names(0)?, outputs: names(1)? })
}

/// A vector of numbers of tensors, where −1 stands for none.
fn numbers(table: &Table<'_, '_>, slot: usize, tensors: usize) -> Result<Vec<Option<usize>>, Fault> {
    let numbers: Vec<i32> = table.vector(slot)?.unwrap_or_default();
    let known = |number| if number == -1 { Ok(None) } else { within(i64::from(number), tensors).map(Some) };
    numbers.into_iter().map(known).collect()
}

/// A vector of numbers of tensors.
fn all_numbers(table: &Table<'_, '_>, slot: usize, tensors: usize) -> Result<Vec<usize>, Fault> {
    let numbers: Vec<i32> = table.vector(slot)?.unwrap_or_default();
    numbers.into_iter().map(|number| within(i64::from(number), tensors)).collect()
}

fn within(number: i64, tensors: usize) -> Result<usize, Fault> {
    let known = usize::try_from(number).ok().filter(|number| *number < tensors);
    known.ok_or_else(|| damaged(format!("tensor {number} of {tensors}")))
}
