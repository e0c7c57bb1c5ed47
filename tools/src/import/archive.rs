//! Zip archives: files by name, unpacked in memory.
//!
//! The bytes are hostile: what a file may unpack to is limited before it is unpacked and while it is,
//! and a name that stands for two files is an error. Names are compared and never used as paths.

use std::io::{Cursor, Read};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::Fault;

/// What one byte of an archive may unpack to. Weights rarely shrink by a tenth, text to a tenth.
pub(super) const MAX_EXPANSION: u64 = 64;

/// What any archive may unpack to on top of that.
pub(super) const FREE_BYTES: u64 = 1 << 20;

/// An open archive.
pub(crate) struct Archive<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    /// What all files together may still unpack to.
    budget_bytes: u64,
}

impl<'b> Archive<'b> {
    /// Opens an archive that is in memory.
    pub(crate) fn parse(bytes: &'b [u8]) -> Result<Self, Fault> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if entry_count(bytes, zip.central_directory_start()) != zip.len() {
            // Readers differ in which of two they take: one could be shown to a scanner, the other to Keras.
            return Err(damage("two of its files have one name".into()));
        }
        let budget_bytes = (bytes.len() as u64).saturating_mul(MAX_EXPANSION).saturating_add(FREE_BYTES);
        Ok(Self { zip, budget_bytes })
    }

    /// Names of the files, in the order of the directory.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.zip.file_names()
    }

    /// Whether there is a file of this very name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// Unpacks the file called `name`, of at most `limit_bytes`. `None` when there is none.
    pub(crate) fn read(&mut self, name: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, Fault> {
        let limit_bytes = limit_bytes.min(self.budget_bytes);
        let Some(index) = self.zip.index_for_name(name) else {
            return Ok(None);
        };
        self.refuse_unsupported(index, name)?;
        let file = self.zip.by_index(index).map_err(damaged)?;
        let refuse = |found_bytes: u64| Fault::Limit {
            what: "the size in bytes of a file in the archive",
            found: found_bytes,
            limit: limit_bytes,
        };
        let declared_bytes = file.size();
        if declared_bytes > limit_bytes {
            return Err(refuse(declared_bytes));
        }
        let mut bytes = Vec::new();
        let unpacked = file.take(declared_bytes.saturating_add(1)).read_to_end(&mut bytes);
        unpacked.map_err(|error| damage(format!("`{name}`: {error}")))?;
        if bytes.len() as u64 != declared_bytes {
            let found = bytes.len();
            return Err(damage(format!("`{name}` of {declared_bytes} bytes unpacks to {found} or more")));
        }
        self.budget_bytes -= declared_bytes;
        Ok(Some(bytes))
    }

    fn refuse_unsupported(&mut self, index: usize, name: &str) -> Result<(), Fault> {
        let raw = self.zip.by_index_raw(index).map_err(damaged)?;
        let how = match raw.compression() {
            _ if raw.encrypted() => "encrypted".to_owned(),
            CompressionMethod::Stored | CompressionMethod::Deflated => return Ok(()),
            method => format!("packed by the method {method}"),
        };
        Err(Fault::Unsupported {
            what: format!("an archive whose `{name}` is {how}"),
            remedy: "unpack it and pack it again with `zip`, without a password".into(),
        })
    }
}

/// The number of entries in the directory that begins at `start`.
fn entry_count(bytes: &[u8], start: u64) -> usize {
    const SIGNATURE: &[u8] = b"PK\x01\x02";
    const HEADER_BYTES: usize = 46;
    let mut at = usize::try_from(start).unwrap_or(usize::MAX);
    let mut count = 0;
    while let Some(header) = bytes.get(at..).and_then(|rest| rest.get(..HEADER_BYTES))
        && header.starts_with(SIGNATURE)
    {
        // Behind the header come the name, extra fields and a comment.
        let lengths =
            header[28..34].chunks_exact(2).map(|pair| usize::from(u16::from_le_bytes([pair[0], pair[1]])));
        at += HEADER_BYTES + lengths.sum::<usize>();
        count += 1;
    }
    count
}

fn damaged(error: ZipError) -> Fault {
    damage(error.to_string())
}

fn damage(detail: String) -> Fault {
    Fault::Damaged { container: "zip archive", detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        for (name, bytes) in files {
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// Makes `from` be `to` everywhere.
    fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
        for at in 0..=bytes.len() - from.len() {
            if bytes[at..].starts_with(from) {
                bytes[at..][..to.len()].copy_from_slice(to);
            }
        }
        bytes
    }

    #[test]
    fn files_are_found_by_their_very_names() {
        let bytes = packed(&[("a", b"one"), ("../b", b"two"), ("/c", b"three")]);
        let mut archive = Archive::parse(&bytes).unwrap();
        assert_eq!(archive.names().collect::<Vec<_>>(), ["a", "../b", "/c"]);
        assert_eq!(archive.read("a", 3).unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!((archive.read("b", 9).unwrap(), archive.read("c", 9).unwrap()), (None, None));
    }

    #[test]
    fn what_is_larger_than_its_limit_is_not_unpacked() {
        let zeros = vec![0; 1 << 24];
        let bytes = packed(&[("bomb", &zeros)]);
        let mut archive = Archive::parse(&bytes).unwrap();
        let limit = bytes.len() as u64 * MAX_EXPANSION + FREE_BYTES;
        for (asked, expected) in [(1 << 30, limit), (100, 100)] {
            match archive.read("bomb", asked) {
                Err(Fault::Limit { found, limit, .. }) => assert_eq!((found, limit), (1 << 24, expected)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_size_that_is_a_lie_is_damage() {
        let bytes = packed(&[("a", &[7; 5000])]);
        let told = replaced(bytes, &5000u32.to_le_bytes(), &50u32.to_le_bytes());
        let error = Archive::parse(&told).unwrap().read("a", 5000).unwrap_err();
        assert_eq!(error.to_string(), "damaged zip archive: `a` of 50 bytes unpacks to 51 or more");
    }

    #[test]
    fn two_files_of_one_name_are_damage() {
        let bytes = replaced(packed(&[("config.json", b"{}"), ("konfig.json", b"{}")]), b"konfig", b"config");
        let error = Archive::parse(&bytes).err().unwrap();
        assert_eq!(error.to_string(), "damaged zip archive: two of its files have one name");
    }
}
