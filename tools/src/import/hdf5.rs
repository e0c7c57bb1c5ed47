//! HDF5 files: groups, text attributes and numeric datasets, and nothing else of HDF5.
//!
//! The bytes are hostile: sizes are limited before memory is taken, walks end on files whose groups
//! contain themselves, and nothing outside the file is opened (links that lead elsewhere and external data
//! are errors).

mod links;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use hdf5_reader::error::Error;
use hdf5_reader::{Attribute, ByteOrder, Dataset, Datatype, Hdf5File, OpenOptions};

use crate::import::Fault;
use crate::import::numbers::{Element, Kind, Numbers};

/// Deepest nesting of groups that a walk follows.
const MAX_DEPTH: usize = 64;

/// The largest expansion of a deflate stream: what a file can honestly hold per byte of its length.
const MAX_EXPANSION: u64 = 1032;

/// Memory that datasets may take on top of what the file's length allows.
const FREE_BYTES: u64 = 1 << 20;

/// An open file.
pub(crate) struct File {
    root: Group,
}

impl File {
    /// Opens a file that is in memory.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, Fault> {
        let length_bytes = bytes.len() as u64;
        Self::unpacked(bytes, length_bytes)
    }

    /// Opens a file that was packed in one of `packed_bytes`, which is what its datasets may expand.
    pub(crate) fn unpacked(bytes: Vec<u8>, packed_bytes: u64) -> Result<Self, Fault> {
        let length_bytes = bytes.len() as u64;
        let budget_bytes = packed_bytes.saturating_mul(MAX_EXPANSION).saturating_add(FREE_BYTES);
        let chunk_bytes = usize::try_from(budget_bytes).unwrap_or(usize::MAX);
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(0)
            .with_max_chunk_bytes(chunk_bytes)
            .with_max_read_bytes(chunk_bytes);
        let file = Hdf5File::from_vec_with_options(bytes, options).map_err(damaged)?;
        let expected_bytes = file.superblock().eof_address;
        if expected_bytes > length_bytes {
            return Err(Fault::Truncated { found_bytes: length_bytes, expected_bytes });
        }
        let root = file.root_group().map_err(damaged)?;
        let budget_bytes = Cell::new(budget_bytes);
        let open = Rc::new(Open { file, budget_bytes, looked_at: RefCell::default() });
        Ok(Self { root: Group::of(&open, root)? })
    }

    /// The root group.
    pub(crate) fn root(&self) -> &Group {
        &self.root
    }
}

/// What the groups of an open file share.
struct Open {
    file: Hdf5File,
    /// What all datasets of the file together may still take.
    budget_bytes: Cell<u64>,
    /// The addresses of groups all of whose links are objects of the file.
    looked_at: RefCell<HashSet<u64>>,
}

/// A group of an open file.
pub(crate) struct Group {
    group: hdf5_reader::group::Group,
    open: Rc<Open>,
}

impl Group {
    /// A group without links that lead elsewhere.
    fn of(open: &Rc<Open>, group: hdf5_reader::group::Group) -> Result<Self, Fault> {
        if open.looked_at.borrow_mut().insert(group.address())
            && let Some(link) = links::elsewhere(&open.file, &group).map_err(damaged)?
        {
            return Err(Fault::Unsupported {
                what: format!("the link `{}` to `{}`, which is no object of its own,", link.name, link.target),
                remedy: "put what it leads to in its place: in h5py, `del file[link]` and `file.copy(target, link)`"
                    .into(),
            });
        }
        Ok(Self { group, open: open.clone() })
    }

    /// The group called `name` in this one.
    pub(crate) fn group(&self, name: &str) -> Result<Option<Group>, Fault> {
        if_found(self.group.group(name))?.map(|group| Self::of(&self.open, group)).transpose()
    }

    /// Names of the groups and datasets in this group.
    pub(crate) fn member_names(&self) -> Result<Vec<String>, Fault> {
        let (mut names, datasets) = self.group.member_names().map_err(damaged)?;
        names.extend(datasets);
        Ok(names)
    }

    /// The attributes of this group.
    pub(crate) fn attributes(&self) -> Result<Attributes, Fault> {
        Ok(Attributes(self.group.attributes().map_err(damaged)?))
    }

    /// The numbers of the dataset at `path`, whose parts are divided by `/`.
    pub(crate) fn numbers(&self, path: &str) -> Result<Option<Numbers>, Fault> {
        let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
        let Some(dataset_name) = parts.next_back() else {
            return Ok(None);
        };
        let mut group = Self { group: self.group.clone(), open: self.open.clone() };
        for part in parts {
            match group.group(part)? {
                Some(child) => group = child,
                None => return Ok(None),
            }
        }
        let Some(dataset) = if_found(group.group.dataset(dataset_name))? else {
            return Ok(None);
        };
        self.spend(dataset.raw_byte_len().map_err(damaged)? as u64)?;
        Numbers::read(&dataset).map(Some)
    }

    fn spend(&self, bytes: u64) -> Result<(), Fault> {
        match self.open.budget_bytes.get().checked_sub(bytes) {
            Some(left) => self.open.budget_bytes.set(left),
            None => {
                return Err(Fault::Limit {
                    what: "the size in bytes of the file's datasets",
                    found: bytes,
                    limit: self.open.budget_bytes.get(),
                });
            }
        }
        Ok(())
    }

    /// The size in bytes of all datasets in this group and below.
    pub(crate) fn dataset_bytes(&self) -> Result<u64, Fault> {
        let mut sum = 0u64;
        for dataset in self.datasets_below()? {
            sum = sum.saturating_add(dataset.bytes()?);
        }
        Ok(sum)
    }

    /// All datasets in this group and below. Each group counts once, however often it is linked.
    pub(crate) fn datasets_below(&self) -> Result<Vec<Found>, Fault> {
        let mut found = Vec::new();
        self.walk("", &mut HashSet::new(), 0, &mut found)?;
        Ok(found)
    }

    fn walk(
        &self,
        path: &str,
        seen: &mut HashSet<u64>,
        depth: usize,
        found: &mut Vec<Found>,
    ) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Limit {
                what: "the depth of groups",
                found: depth as u64,
                limit: MAX_DEPTH as u64,
            });
        }
        if !seen.insert(self.group.address()) {
            return Ok(());
        }
        let (groups, datasets) = self.group.members().map_err(damaged)?;
        for dataset in datasets {
            found.push(Found { path: format!("{path}{}", dataset.name()), dataset });
        }
        for group in groups {
            let path = format!("{path}{}/", group.name());
            Self::of(&self.open, group)?.walk(&path, seen, depth + 1, found)?;
        }
        Ok(())
    }

    /// The numbers of a dataset that was found in this file.
    pub(crate) fn read(&self, found: &Found) -> Result<Numbers, Fault> {
        self.spend(found.bytes()?)?;
        Numbers::read(&found.dataset)
    }
}

/// A dataset somewhere below a group.
pub(crate) struct Found {
    /// Its path from that group.
    pub(crate) path: String,
    dataset: Dataset,
}

impl Found {
    /// The size of its values.
    pub(crate) fn bytes(&self) -> Result<u64, Fault> {
        Ok(self.dataset.raw_byte_len().map_err(damaged)? as u64)
    }
}

/// The attributes of a group.
pub(crate) struct Attributes(Vec<Attribute>);

impl Attributes {
    fn find(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    /// `name`, or else the pieces `name0`, `name1` … that h5py users write when an attribute is too
    /// large for one object header.
    fn pieces(&self, name: &str) -> Vec<&Attribute> {
        match self.find(name) {
            Some(whole) => vec![whole],
            None => (0..).map_while(|number| self.find(&format!("{name}{number}"))).collect(),
        }
    }

    /// A text. `None` when there is no such attribute.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        Ok(self.texts(name)?.map(|texts| texts.concat()))
    }

    /// A list of texts. `None` when there is no such attribute.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let pieces = self.pieces(name);
        if pieces.is_empty() {
            return Ok(None);
        }
        let mut texts = Vec::new();
        for piece in pieces {
            texts.extend(strings(piece)?);
        }
        Ok(Some(texts))
    }
}

fn strings(attribute: &Attribute) -> Result<Vec<String>, Fault> {
    if attribute.num_elements().map_err(damaged)? == 0 {
        // An empty list has whatever type the writer's default was.
        return Ok(Vec::new());
    }
    match (&attribute.decoded_strings, &attribute.datatype) {
        (Some(strings), _) => Ok(strings.clone()),
        (None, Datatype::String { .. }) => attribute.read_strings().map_err(damaged),
        (None, Datatype::VarLen { .. }) => {
            Err(damage(format!("the text of attribute `{}` is not where the file says", attribute.name)))
        }
        (None, other) => Err(Fault::Unexpected {
            place: format!("attribute `{}`", attribute.name),
            found: format!("{other:?}"),
            expected: "text".into(),
        }),
    }
}

impl Numbers {
    fn read(dataset: &Dataset) -> Result<Self, Fault> {
        let element = element_of(dataset)?;
        let shape: Vec<usize> = dataset
            .shape()
            .iter()
            .map(|extent| usize::try_from(*extent))
            .collect::<Result<_, _>>()
            .map_err(|_| damage(format!("dataset `{}` has an impossible shape", dataset.name())))?;
        let bytes = dataset.read_raw_bytes().map_err(damaged)?;
        let held = format!("dataset `{}` of shape {shape:?} holds {} bytes", dataset.name(), bytes.len());
        Self::new(shape, element, &bytes).ok_or_else(|| damage(held))
    }
}

fn element_of(dataset: &Dataset) -> Result<Element, Fault> {
    let unsupported = |found: String| Fault::Unsupported {
        what: format!("dataset `{}` of type {found}", dataset.name()),
        remedy: "weights are floating point numbers or integers; save the model again with float32 weights"
            .into(),
    };
    let datatype = match dataset.dtype() {
        Datatype::Enum { base, .. } => base.as_ref(),
        other => other,
    };
    let (kind, byte_order) = match *datatype {
        Datatype::FloatingPoint { size: 4, byte_order } => (Kind::F32, byte_order),
        Datatype::FloatingPoint { size: 8, byte_order } => (Kind::F64, byte_order),
        Datatype::FloatingPoint { size: 2, byte_order } => {
            let raw = dataset.raw_datatype().map_err(damaged)?;
            let kind =
                half_kind(&raw).ok_or_else(|| unsupported("a 16-bit float of unknown layout".into()))?;
            (kind, byte_order)
        }
        Datatype::FixedPoint { size: size @ (1 | 2 | 4 | 8), signed, byte_order } => {
            (Kind::Integer { size_bytes: size.into(), signed }, byte_order)
        }
        // Keras 3 keeps bfloat16 as two opaque bytes and says so in an attribute.
        Datatype::Opaque { size: 2, .. } if says_bfloat16(dataset) => (Kind::Bf16, ByteOrder::LittleEndian),
        ref other => return Err(unsupported(format!("{other:?}"))),
    };
    Ok(Element { kind, big_endian: byte_order == ByteOrder::BigEndian })
}

/// Tells binary16 from bfloat16 by the datatype message: behind its 8-byte head and the bit offset
/// and precision (2 bytes each) come the place and width of the exponent and of the mantissa.
fn half_kind(raw_datatype: &[u8]) -> Option<Kind> {
    let [exponent_at, exponent_bits, mantissa_at, mantissa_bits] = raw_datatype.get(12..16)? else {
        return None;
    };
    match (exponent_at, exponent_bits, mantissa_at, mantissa_bits) {
        (10, 5, 0, 10) => Some(Kind::F16),
        (7, 8, 0, 7) => Some(Kind::Bf16),
        _ => None,
    }
}

fn says_bfloat16(dataset: &Dataset) -> bool {
    dataset
        .attribute("dtype")
        .ok()
        .and_then(|attribute| strings(&attribute).ok())
        .is_some_and(|texts| texts == ["bfloat16"])
}

/// Tells what is not there from what cannot be read.
fn if_found<T>(result: Result<T, Error>) -> Result<Option<T>, Fault> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::GroupNotFound(_) | Error::DatasetNotFound(_)) => Ok(None),
        Err(other) => Err(damaged(other)),
    }
}

fn damaged(error: Error) -> Fault {
    damage(error.to_string())
}

fn damage(detail: String) -> Fault {
    Fault::Damaged { container: "HDF5", detail }
}
