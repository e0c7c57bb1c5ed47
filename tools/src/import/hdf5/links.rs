//! Links that lead elsewhere: by a path, or into another file. Nothing that Keras writes has one, and what they name
//! may lie where no one would look.

use hdf5_reader::Hdf5File;
use hdf5_reader::btree_v1::collect_btree_v1_leaves_storage;
use hdf5_reader::btree_v2::{BTreeV2Header, BTreeV2Record, collect_btree_v2_records_storage};
use hdf5_reader::error::Error;
use hdf5_reader::fractal_heap::{FractalHeap, FractalHeapDirectBlockCache};
use hdf5_reader::group::Group;
use hdf5_reader::io::Cursor;
use hdf5_reader::local_heap::LocalHeap;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::{self, LinkMessage, LinkTarget};
use hdf5_reader::messages::link_info::LinkInfoMessage;
use hdf5_reader::messages::symbol_table_msg::SymbolTableMessage;
use hdf5_reader::symbol_table::SymbolTableNode;

/// The kind of an entry of a symbol table that is a path.
const BY_PATH: u32 = 2;

/// A link that is no object of the file itself.
pub(super) struct Elsewhere {
    /// Its name in the group.
    pub(super) name: String,
    /// The path, or the file and the path there.
    pub(super) target: String,
}

/// The first such link of a group, if it has one, in any of the three ways in which groups keep their links.
pub(super) fn elsewhere(file: &Hdf5File, group: &Group) -> Result<Option<Elsewhere>, Error> {
    for message in &file.get_or_parse_header(group.address())?.messages {
        let found = match message {
            HdfMessage::SymbolTable(table) => in_table(group, table)?,
            HdfMessage::Link(link) => of_link(link),
            HdfMessage::LinkInfo(info) => in_heap(group, info)?,
            _ => None,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn of_link(link: &LinkMessage) -> Option<Elsewhere> {
    let target = match &link.target {
        LinkTarget::Hard { .. } => return None,
        LinkTarget::Soft { path } => path.clone(),
        LinkTarget::External { filename, path } => format!("{filename}:{path}"),
    };
    Some(Elsewhere { name: link.name.clone(), target })
}

/// Of a group as the first versions of HDF5 write it: nodes of a tree hold entries, whose names are in a heap.
fn in_table(group: &Group, table: &SymbolTableMessage) -> Result<Option<Elsewhere>, Error> {
    let (storage, offset, length) = (group.storage(), group.offset_size(), group.length_size());
    let nodes =
        collect_btree_v1_leaves_storage(storage, table.btree_address, offset, length, None, &[], None)?;
    for (_, address) in nodes {
        let head = storage.read_range(address, 8)?;
        let mut cursor = Cursor::new(head.as_ref());
        cursor.skip(6)?;
        let entries = usize::from(cursor.read_u16_le()?);
        let node = storage.read_range(address, 8 + entries * (2 * usize::from(offset) + 24))?;
        let node = SymbolTableNode::parse(&mut Cursor::new(node.as_ref()), offset, length)?;
        if let Some(entry) = node.entries.iter().find(|entry| entry.cache_type == BY_PATH) {
            let heap = LocalHeap::parse_at_storage(storage, table.heap_address, offset, length)?;
            let [a, b, c, d, ..] = entry.scratch;
            return Ok(Some(Elsewhere {
                name: heap.get_string_storage(entry.link_name_offset, storage)?,
                target: heap.get_string_storage(u32::from_le_bytes([a, b, c, d]).into(), storage)?,
            }));
        }
    }
    Ok(None)
}

/// Of a group of many links, which lie in a heap of their own.
fn in_heap(group: &Group, info: &LinkInfoMessage) -> Result<Option<Elsewhere>, Error> {
    let (storage, offset, length) = (group.storage(), group.offset_size(), group.length_size());
    if Cursor::is_undefined_offset(info.fractal_heap_address, offset) {
        return Ok(None);
    }
    let heap = FractalHeap::parse_at_storage(storage, info.fractal_heap_address, offset, length)?;
    let index = BTreeV2Header::parse_at_storage(storage, info.btree_name_index_address, offset, length)?;
    let mut blocks = FractalHeapDirectBlockCache::default();
    for record in collect_btree_v2_records_storage(storage, &index, offset, length, None, &[], None)? {
        let BTreeV2Record::LinkNameHash { heap_id, .. } = record else { continue };
        let bytes = heap.get_object_storage_cached(&heap_id, storage, offset, length, &mut blocks)?;
        let link = link::parse(&mut Cursor::new(&bytes), offset, length, bytes.len())?;
        if let Some(found) = of_link(&link) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
