//! Opening the `.fpk` that a command was given.

use super::Failure;
use crate::ops;
use flatpack_format::{Model, Place, Step};
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

/// What makes a file faster on a gateway: if it would have weights in another layout.
pub(crate) fn hint(model: &Model<'_>) -> Option<String> {
    let lies_otherwise = |step: Step<'_>| {
        let Some(packs) = ops::operator(step.op()).packs else { return false };
        let mut weights = step.inputs().enumerate().filter(|(at, _)| step.op().rule().weights >> at & 1 == 1);
        weights.any(|(_, w)| {
            let layout = packs.on_gateways(step.params(), w.shape().dims());
            w.place() == Place::Constant && layout.is_some_and(|layout| w.layout() != layout)
        })
    };
    let target = model.target().name();
    model.steps().any(lies_otherwise).then(|| {
        format!(
            "built for {target}: `flatpack build --target linux` lays weights out as a gateway reads them fastest"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::bytes_of;
    use flatpack_format::ops::OutputI8;
    use flatpack_format::ops::fully_connected_i8::FullyConnectedI8Params;
    use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
    use flatpack_format::{Block, DType, Layout, OpCode, Shape, Target, TensorType};
    use std::collections::BTreeMap;

    /// Whether there is a hint on a layer of integers with weights in this layout.
    fn hints(target: Target, layout: Layout, w_zero_point: i32) -> bool {
        let tensor = |dims: &[u32], dtype, layout, memory| TensorDraft {
            name: None,
            tensor_type: TensorType { dtype, shape: Shape::new(dims).unwrap() },
            layout,
            quant: 0,
            memory,
        };
        let weights = if layout == Layout::Rows { 8 } else { 64 };
        let y = OutputI8 { zero_point: 0, min: -128, max: 127 };
        let params = FullyConnectedI8Params { x_zero_point: 0, w_zero_point, y };
        let draft = Draft {
            target,
            tensors: vec![
                tensor(&[1, 4], DType::I8, Layout::Rows, Memory::Arena(0)),
                tensor(&[2, 4], DType::I8, layout, Memory::Constant(vec![0; weights])),
                tensor(&[2], DType::I32, Layout::Rows, Memory::Constant(vec![0; 8])),
                tensor(&[1, 2], DType::I32, Layout::Rows, Memory::Constant(vec![0; 8])),
                tensor(&[1, 2], DType::I8, Layout::Rows, Memory::Arena(16)),
            ],
            steps: vec![StepDraft {
                name: None,
                op: OpCode::FullyConnectedI8,
                params: bytes_of(&params).to_vec(),
                inputs: vec![0, 1, 2, 3],
                outputs: vec![4],
                scratches: vec![],
            }],
            inputs: vec![0],
            outputs: vec![4],
            quants: vec![],
            cases: vec![],
            meta: BTreeMap::new(),
        };
        let (blocks, bytes) = draft.write().unwrap();
        hint(&Model::parse(&Block::bytes(&blocks)[..bytes]).unwrap()).is_some()
    }

    #[test]
    fn only_weights_that_would_lie_otherwise_have_a_hint() {
        assert!(hints(Target::Portable, Layout::Rows, 0));
        assert!(!hints(Target::Linux, Layout::Panel16x4, 0));
        // Gateways have no loop for those: they lie in rows for any target.
        assert!(!hints(Target::Portable, Layout::Rows, 3));
        assert!(!hints(Target::Linux, Layout::Rows, 3));
    }
}
