//! Opening the `.fpk` that a command was given.

use super::Failure;
use flatpack_format::{Layout, Model};
use flatpack_runtime::{MappedModel, OpenError, OpenFault};
use std::path::Path;

/// Maps a file.
///
/// # Errors
/// If the system cannot (exit code 2), or it is no valid file (exit code 1).
pub(super) fn open(path: &Path) -> Result<MappedModel, Failure> {
    MappedModel::open(path).map_err(|error| failure(&error))
}

/// A file that cannot be opened.
pub(crate) fn failure(error: &OpenError) -> Failure {
    let OpenError { path, fault } = error;
    let report = match fault.help() {
        Some(help) => miette::miette!(help = help, "{}: {fault}", path.display()),
        None => miette::miette!("{}: {fault}", path.display()),
    };
    match fault {
        OpenFault::Format(_) => Failure::model(report),
        OpenFault::Io(_) | OpenFault::Lock(_) => Failure::usage(report),
    }
}

/// The checked view of a mapped file.
///
/// # Errors
/// If the file was changed since it was opened.
pub(super) fn model<'a>(path: &Path, mapped: &'a MappedModel) -> Result<Model<'a>, Failure> {
    mapped.model().map_err(|error| Failure::model(miette::miette!("{}: {error}", path.display())))
}

/// What makes a file faster on a gateway: if it has weights in another layout than those of gateways.
pub(crate) fn hint(model: &Model<'_>) -> Option<String> {
    let of_gateways =
        |layout: &Layout| matches!(layout, Layout::Panel16 | Layout::Panel16x4 | Layout::Gates16);
    let slower = model.steps().any(|step| {
        let rule = step.op().rule();
        let mut weights = step.inputs().enumerate().filter(|(at, _)| rule.weights >> at & 1 == 1);
        (rule.packed)(step.params()).iter().any(of_gateways)
            && weights.any(|(_, weights)| !of_gateways(&weights.layout()))
    });
    let target = model.target().name();
    slower.then(|| {
        format!(
            "built for {target}: `flatpack build --target linux` lays weights out as a gateway reads them fastest"
        )
    })
}
