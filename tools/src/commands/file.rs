//! Opening the `.fpk` that a command was given.

use super::Failure;
use flatpack_format::{Model, Rule};
use flatpack_runtime::{MappedModel, OpenError};
use std::path::Path;

/// Maps a file.
///
/// # Errors
/// If the system cannot (exit code 2), or it is no valid file (exit code 1).
pub(super) fn open(path: &Path) -> Result<MappedModel, Failure> {
    MappedModel::open(path).map_err(|error| match error {
        OpenError::Io(error) => Failure::io(path, &error),
        OpenError::Format(error) => {
            let help = match error.rule {
                Rule::V02 => "this is no .fpk file; `flatpack build model.h5` makes one",
                Rule::V03 => "it was made by another version of flatpack: build it again",
                Rule::V01 => "it was cut short: copy it again",
                _ => "it was damaged: copy or build it again",
            };
            Failure::model(miette::miette!(help = help, "{}: {error}", path.display()))
        }
    })
}

/// The checked view of a mapped file.
///
/// # Errors
/// If the file was changed since it was opened.
pub(super) fn model<'a>(path: &Path, mapped: &'a MappedModel) -> Result<Model<'a>, Failure> {
    mapped.model().map_err(|error| Failure::model(miette::miette!("{}: {error}", path.display())))
}
