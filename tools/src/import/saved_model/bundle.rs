//! The variables of a SavedModel: an [index](super::table) of tensors, and files with their bytes.

use std::collections::BTreeMap;

use prost::Message;

use super::files::Files;
use super::proto::{BundleEntry, BundleHeader, CheckpointObjects};
use super::{checked, dtype, table};
use crate::import::Fault;
use crate::import::numbers::Numbers;

/// The tensor that holds the objects, not the numbers, of a checkpoint.
const OBJECTS: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";

/// The tensors of a checkpoint.
pub(crate) struct Bundle<'f> {
    entries: BTreeMap<String, BundleEntry>,
    shards: Vec<&'f [u8]>,
    big_endian: bool,
}

impl<'f> Bundle<'f> {
    /// Opens the variables among `files`. `None` where there are none.
    pub(crate) fn open(files: &'f Files) -> Result<Option<Self>, Fault> {
        let Some(index) = files.get("variables/variables.index") else { return Ok(None) };
        let mut entries = BTreeMap::new();
        let mut header = BundleHeader::default();
        for (key, value) in table::entries(index)? {
            let malformed = |error: prost::DecodeError| damage(error.to_string());
            if key.is_empty() {
                header = BundleHeader::decode(value).map_err(malformed)?;
                continue;
            }
            let key = String::from_utf8(key).map_err(|_| damage("a key is no text".into()))?;
            entries.insert(key, BundleEntry::decode(value).map_err(malformed)?);
        }
        let count = header.shards;
        let mut shards = Vec::new();
        for shard in 0..count {
            let name = format!("variables/variables.data-{shard:05}-of-{count:05}");
            let bytes = files.get(&name).ok_or_else(|| damage(format!("there is no `{name}`")))?;
            shards.push(bytes);
        }
        Ok(Some(Self { entries, shards, big_endian: header.endianness == 1 }))
    }

    /// The bytes of a tensor. `None` where there is no such.
    fn bytes(&self, key: &str) -> Result<Option<(&BundleEntry, &'f [u8])>, Fault> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        if !entry.slices.is_empty() {
            return Err(Fault::Unsupported {
                what: format!("the variable `{key}`, which is stored in slices,"),
                remedy: "save the model again on one machine".into(),
            });
        }
        let cut = || damage(format!("`{key}` lies outside of its file"));
        let shard = usize::try_from(entry.shard).ok().and_then(|shard| self.shards.get(shard));
        let offset = usize::try_from(entry.offset).map_err(|_| cut())?;
        let size = usize::try_from(entry.size).map_err(|_| cut())?;
        let end = offset.checked_add(size).ok_or_else(cut)?;
        let bytes = shard.and_then(|shard| shard.get(offset..end)).ok_or_else(cut)?;
        Ok(Some((entry, bytes)))
    }

    /// The numbers of a tensor. `None` where there is no such.
    pub(crate) fn numbers(&self, key: &str) -> Result<Option<Numbers>, Fault> {
        let Some((entry, bytes)) = self.bytes(key)? else { return Ok(None) };
        if !checked(bytes, entry.crc32c) {
            return Err(damage(format!("the checksum of `{key}` is wrong")));
        }
        let element = dtype::element(entry.dtype, self.big_endian).ok_or_else(|| Fault::Unsupported {
            what: format!("the variable `{key}` of type {}", dtype::name(entry.dtype)),
            remedy:
                "weights are floating point numbers or integers; save the model again with float32 weights"
                    .into(),
        })?;
        let shape = entry.shape.clone().unwrap_or_default().extents();
        let numbers = shape.and_then(|shape| Numbers::new(shape, element, bytes));
        match numbers {
            Some(numbers) => Ok(Some(numbers)),
            None => Err(damage(format!("`{key}` has {} bytes, which its shape does not take", bytes.len()))),
        }
    }

    /// How many bytes the tensors have whose keys are not among `used`.
    pub(crate) fn bytes_beside(&self, used: &std::collections::HashSet<String>) -> u64 {
        let beside = self.entries.iter().filter(|(key, _)| !used.contains(*key) && *key != OBJECTS);
        beside.map(|(_, entry)| u64::try_from(entry.size).unwrap_or(0)).sum()
    }

    /// The objects that have the tensors.
    pub(crate) fn objects(&self) -> Result<CheckpointObjects, Fault> {
        let Some((_, mut bytes)) = self.bytes(OBJECTS)? else { return Ok(CheckpointObjects::default()) };
        // A tensor of one text: its length, 4 bytes of a checksum of that, the text.
        let cut = || damage(format!("`{OBJECTS}` is cut short"));
        let length = table::varint(&mut bytes).and_then(|length| usize::try_from(length).ok());
        let text = bytes.get(4..).filter(|text| Some(text.len()) == length).ok_or_else(cut)?;
        CheckpointObjects::decode(text).map_err(|error| damage(format!("`{OBJECTS}`: {error}")))
    }
}

fn damage(detail: String) -> Fault {
    Fault::Damaged { container: "variables of the SavedModel", detail }
}
