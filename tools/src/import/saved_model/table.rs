//! The index of a checkpoint: a sorted table of keys and values, as LevelDB writes it.
//!
//! ```text
//! block   entries, offsets of restarts (u32 each), number of restarts (u32)
//!         then 1 byte of compression (none), 4 bytes of masked CRC-32C over block and that byte
//! entry   bytes shared with the key before, bytes of its own, bytes of the value: a varint each;
//!         then the key's own bytes and the value
//! file    data blocks, a block of metadata, an index block whose values say where the data blocks are,
//!         and a footer of 48 bytes that says where those two are
//! ```
//!
//! <https://github.com/google/leveldb/blob/main/doc/table_format.md>

use super::checked;
use crate::import::Fault;

const FOOTER_BYTES: usize = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;

/// A key and its value.
type Entry<'t> = (Vec<u8>, &'t [u8]);

/// All keys and values, in the order of the table.
pub(super) fn entries(table: &[u8]) -> Result<Vec<Entry<'_>>, Fault> {
    let cut = || damage("it is too short");
    let footer = table.len().checked_sub(FOOTER_BYTES).and_then(|at| table.get(at..)).ok_or_else(cut)?;
    let (mut handles, magic) = footer.split_at(FOOTER_BYTES - 8);
    if magic != MAGIC.to_le_bytes() {
        return Err(damage("its last bytes are not those of a table"));
    }
    let _metadata = handle(&mut handles).ok_or_else(cut)?;
    let index = handle(&mut handles).ok_or_else(cut)?;
    let mut found = Vec::new();
    let mut blocks = Vec::new();
    block(table, index, &mut |_, value| blocks.push(value))?;
    let mut after = 0;
    for mut value in blocks {
        let place = handle(&mut value).ok_or_else(cut)?;
        // Blocks lie one behind the other: none is read twice.
        if place.0 < after {
            return Err(damage("its blocks lie over each other"));
        }
        after = place.0 + 1;
        block(table, place, &mut |key, value| found.push((key.to_vec(), value)))?;
    }
    Ok(found)
}

/// Calls `each` with the entries of the block at an offset and of a size.
fn block<'t>(
    table: &'t [u8],
    (offset, size): (u64, u64),
    each: &mut impl FnMut(&[u8], &'t [u8]),
) -> Result<(), Fault> {
    let cut = || damage("a block reaches beyond its end");
    let at = usize::try_from(offset).map_err(|_| cut())?;
    let size = usize::try_from(size).map_err(|_| cut())?;
    let rest = table.get(at..).ok_or_else(cut)?;
    let with_type = size.checked_add(1).and_then(|length| rest.get(..length)).ok_or_else(cut)?;
    let crc = rest[with_type.len()..].first_chunk().ok_or_else(cut)?;
    if !checked(with_type, u32::from_le_bytes(*crc)) {
        return Err(damage("a block's checksum is wrong"));
    }
    let (content, compression) = with_type.split_at(size);
    if compression != [0] {
        return Err(damage("a block is compressed"));
    }
    let (content, restarts) = content.split_last_chunk::<4>().ok_or_else(cut)?;
    let restart_bytes = (u32::from_le_bytes(*restarts) as usize).saturating_mul(4);
    let entries = content.len().checked_sub(restart_bytes).and_then(|end| content.get(..end));
    let mut entries = entries.ok_or_else(cut)?;
    let mut key = Vec::new();
    while !entries.is_empty() {
        let mut length = || varint(&mut entries).and_then(|length| usize::try_from(length).ok());
        let lengths = (length(), length(), length());
        let (Some(shared), Some(own), Some(value)) = lengths else { return Err(cut()) };
        if shared > key.len() || own > entries.len() || value > entries.len() - own {
            return Err(cut());
        }
        key.truncate(shared);
        key.extend_from_slice(&entries[..own]);
        each(&key, &entries[own..own + value]);
        entries = &entries[own + value..];
    }
    Ok(())
}

/// An offset and a size.
fn handle(bytes: &mut &[u8]) -> Option<(u64, u64)> {
    Some((varint(bytes)?, varint(bytes)?))
}

/// Seven bits a byte, the lowest first, the eighth says that more follow.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn damage(detail: &str) -> Fault {
    Fault::Damaged { container: "variables.index", detail: detail.into() }
}
