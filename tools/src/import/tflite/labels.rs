//! Names of the classes, from the files that model authors pack into a `.tflite` file.
//!
//! Metadata named `TFLITE_METADATA` is a flatbuffer of its own. It names, for each output, the packed
//! file with the labels of its elements. Packed files are a zip archive behind the model; they are
//! stored in it as they are.

use super::flatbuffer::{Flatbuffer, Table};
use super::model::Model;
use crate::import::Fault;

/// The most outputs, and files packed with one.
const MAX_FILES: usize = 256;

/// The kind of packed file that labels the elements of a tensor.
const AXIS_LABELS: i8 = 2;

/// The labels of the first output's elements, one a line, if the file has as many as the output has
/// elements along its last axis. What is wrong with them is no reason to refuse a model.
pub(super) fn of_first_output(file: &[u8], model: &Model<'_>) -> Option<String> {
    let metadata = model.metadata.iter().find(|entry| entry.name == "TFLITE_METADATA")?;
    let buffer = Flatbuffer::new(metadata.data);
    let name = file_name(&buffer.root().ok()?).ok()??;
    let text = std::str::from_utf8(packed(file, &name)?).ok()?;
    let labels: Vec<&str> = text.lines().map(str::trim_end).collect();
    let graph = model.subgraphs.first()?;
    let extent = *graph.tensors.get(*graph.outputs.first()?)?.shape.last()?;
    (usize::try_from(extent).ok()? == labels.len()).then(|| labels.join("\n"))
}

/// The file with the labels of the first output.
fn file_name(root: &Table<'_, '_>) -> Result<Option<String>, Fault> {
    let Some(graph) = root.tables(3, "the number of described graphs", MAX_FILES)?.next() else {
        return Ok(None);
    };
    let Some(output) = graph?.tables(3, "the number of described outputs", MAX_FILES)?.next() else {
        return Ok(None);
    };
    for file in output?.tables(6, "the number of files of an output", MAX_FILES)? {
        let file = file?;
        if file.scalar(2, 0i8)? == AXIS_LABELS {
            return file.string(0).map(Some);
        }
    }
    Ok(None)
}

/// A file of the zip archive at the end of `file`, if it is stored as it is.
fn packed<'a>(file: &'a [u8], name: &str) -> Option<&'a [u8]> {
    const END: &[u8] = b"PK\x05\x06";
    // The end record has 22 bytes, and a comment of at most 65,535.
    let tail = file.len().saturating_sub(22 + 0xffff);
    let end = tail + file.get(tail..)?.windows(END.len()).rposition(|window| window == END)?;
    file.get(end..)?.get(..22)?;
    let [count, _] = shorts(file, end + 10)?;
    let [size, offset] = [word(file, end + 12)?, word(file, end + 16)?];
    let mut entry = end.checked_sub(size)?;
    // Offsets count from the first byte of the file or of the archive, whoever wrote it.
    let start = entry.checked_sub(offset)?;
    for _ in 0..count.min(MAX_FILES) {
        let [method, _] = shorts(file, entry + 10)?;
        let [bytes, at] = [word(file, entry + 20)?, word(file, entry + 42)?];
        let [name_len, extra_len] = shorts(file, entry + 28)?;
        let [comment_len, _] = shorts(file, entry + 32)?;
        if method == 0 && file.get(entry + 46..)?.get(..name_len)? == name.as_bytes() {
            let local = start.checked_add(at)?;
            let [name_len, extra_len] = shorts(file, local.checked_add(26)?)?;
            return file.get(local.saturating_add(30 + name_len + extra_len)..)?.get(..bytes);
        }
        entry += 46 + name_len + extra_len + comment_len;
    }
    None
}

fn word(file: &[u8], at: usize) -> Option<usize> {
    let bytes = file.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

fn shorts(file: &[u8], at: usize) -> Option<[usize; 2]> {
    let [a, b, c, d] = *file.get(at..)?.first_chunk::<4>()?;
    Some([u16::from_le_bytes([a, b]).into(), u16::from_le_bytes([c, d]).into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one file `a` with the bytes `xyz`, as Python's `zipfile` appends it to four bytes.
    fn archive() -> Vec<u8> {
        let mut file = b"TFL3".to_vec();
        let local: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\x03\0\0\0\x01\0\0\0axyz";
        file.extend(local);
        let start = file.len() as u8;
        let central: &[u8] = b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0a";
        file.extend(central);
        file.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        file.extend([central.len() as u8, 0, 0, 0, start, 0, 0, 0, 0, 0]);
        file
    }

    #[test]
    fn a_packed_file_is_found_by_name() {
        assert_eq!(packed(&archive(), "a"), Some(&b"xyz"[..]));
        assert_eq!(packed(&archive(), "b"), None);
        assert_eq!(packed(b"TFL3", "a"), None);
    }

    #[test]
    fn wrong_bytes_in_an_archive_are_no_file() {
        let whole = archive();
        for at in 0..whole.len() {
            assert!(packed(&whole[..at], "a").is_none());
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = packed(&bytes, "a");
            }
        }
    }
}
