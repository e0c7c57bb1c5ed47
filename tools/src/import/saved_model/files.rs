//! The files of a SavedModel: in a folder, or in a zip or tar archive of one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use crate::import::archive::Archive;
use crate::import::{Content, Fault};

/// The file that makes a folder a SavedModel.
pub(crate) const MODEL: &str = "saved_model.pb";

/// What Keras 2.5 to 2.15 writes beside it.
pub(crate) const METADATA: &str = "keras_metadata.pb";

/// The largest `saved_model.pb`: weights are not in it.
const MAX_MODEL_BYTES: u64 = 64 << 20;

/// The files that are read, by their path in the folder, in memory.
#[derive(Clone, Debug)]
pub(crate) struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// Reads those in a folder. `None` where it is no SavedModel.
    pub(crate) fn in_folder(folder: &Path) -> Result<Option<Self>, Fault> {
        if !folder.join(MODEL).is_file() {
            return Ok(None);
        }
        let mut found = BTreeMap::new();
        for name in [MODEL, METADATA] {
            let path = folder.join(name);
            if path.is_file() {
                check_size(name, fs::metadata(&path)?.len())?;
                found.insert(name.to_owned(), fs::read(path)?);
            }
        }
        let variables = folder.join("variables");
        if variables.is_dir() {
            for entry in fs::read_dir(variables)? {
                let entry = entry?;
                let name = format!("variables/{}", entry.file_name().to_string_lossy());
                if is_read(&name) {
                    found.insert(name, fs::read(entry.path())?);
                }
            }
        }
        Ok(Some(Self(found)))
    }

    /// Reads those in an archive. `None` where there is no SavedModel in it.
    pub(crate) fn in_archive(bytes: &[u8]) -> Result<Option<Self>, Fault> {
        let all = match Content::of(bytes) {
            Content::Zip => in_zip(bytes)?,
            Content::Tar => in_tar(bytes)?,
            _ => return Ok(None),
        };
        let root = all.keys().filter_map(|name| name.strip_suffix(MODEL));
        let root = root.filter(|root| root.is_empty() || root.ends_with('/')).min_by_key(|root| root.len());
        let Some(root) = root.map(str::to_owned) else { return Ok(None) };
        let within =
            all.into_iter().filter_map(|(name, bytes)| Some((name.strip_prefix(&root)?.to_owned(), bytes)));
        let found: BTreeMap<String, Vec<u8>> = within.filter(|(name, _)| is_read(name)).collect();
        found.iter().try_for_each(|(name, bytes)| check_size(name, bytes.len() as u64))?;
        Ok(Some(Self(found)))
    }

    /// The contents of all files, in the order of their names.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &[u8]> {
        self.0.values().map(Vec::as_slice)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

fn is_read(name: &str) -> bool {
    name == MODEL || name == METADATA || name.starts_with("variables/variables.")
}

/// The files of a SavedModel in any folder of an archive.
fn may_be_read(name: &str) -> bool {
    let mut parts = name.rsplit('/');
    let (last, folder) = (parts.next().unwrap_or_default(), parts.next());
    last == MODEL || last == METADATA || (folder == Some("variables") && last.starts_with("variables."))
}

fn check_size(name: &str, found: u64) -> Result<(), Fault> {
    if !name.ends_with(".pb") || found <= MAX_MODEL_BYTES {
        return Ok(());
    }
    Err(Fault::Limit { what: "the size of the graph in bytes", found, limit: MAX_MODEL_BYTES })
}

fn in_zip(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
    let mut archive = Archive::parse(bytes)?;
    let names: Vec<String> = archive.names().filter(|name| may_be_read(name)).map(str::to_owned).collect();
    let mut found = BTreeMap::new();
    for name in names {
        if let Some(content) = archive.read(&name, u64::MAX)? {
            found.insert(name.replace('\\', "/"), content);
        }
    }
    Ok(found)
}

/// Nothing in a tar archive is compressed, so that its files are no larger than it is.
fn in_tar(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
    let damaged =
        |error: std::io::Error| Fault::Damaged { container: "tar archive", detail: error.to_string() };
    let mut archive = tar::Archive::new(Cursor::new(bytes));
    let mut found = BTreeMap::new();
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        if !entry.header().entry_type().is_file() || !may_be_read(&name) {
            continue;
        }
        let mut content = Vec::new();
        entry.take(bytes.len() as u64).read_to_end(&mut content).map_err(damaged)?;
        if found.insert(name.clone(), content).is_some() {
            return Err(Fault::Damaged {
                container: "tar archive",
                detail: format!("two of its files are `{name}`"),
            });
        }
    }
    Ok(found)
}
