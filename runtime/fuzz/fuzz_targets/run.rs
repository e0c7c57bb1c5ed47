//! Loads and runs what can be parsed.

use flatpack_format::{Block, Model, OpCode, Step, TensorType, ops::average_pool_2d::Pool2dParams};
use flatpack_runtime::golden::Divergence;
use flatpack_runtime::{Session, ops};

/// Values that arithmetic stumbles over, among others.
pub const VALUES: [f32; 11] =
    [0.5, -0.0, f32::NAN, 2.0, f32::INFINITY, -1.5, f32::NEG_INFINITY, f32::MAX, 1e-40, 300.0, -1e9];

const MEMORY_BYTES: usize = 1 << 20;

/// A small file may ask for more legal work than anybody waits for. Such files are loaded but not
/// run; one that takes longer than this says is a finding of the fuzzer's time limit.
const WORK_LIMIT: u64 = 1 << 22;

/// Operations that a step takes, roughly and at most.
fn work(step: &Step<'_>) -> u64 {
    let types: Vec<TensorType> = step.inputs().map(|t| t.tensor_type()).collect();
    let Some(output) = step.outputs().next().map(|t| t.tensor_type()) else { return 0 };
    let len = |t: &TensorType| u64::from(t.shape.len().unwrap_or(u32::MAX));
    let repeated = match step.op() {
        // Each output looks at a window, of which the part inside of the input counts.
        OpCode::AveragePool2d | OpCode::MaxPool2d => {
            let params: Option<&Pool2dParams> = bytemuck::try_from_bytes(step.params()).ok();
            let side = |axis: usize| {
                let window = params.map_or(0, |p| p.window[axis]);
                u64::from(types.first().map_or(0, |x| window.min(x.shape.dim(axis + 1))))
            };
            len(&output).saturating_mul(side(0) * side(1))
        }
        OpCode::Sparsemax => len(&output).saturating_mul(len(&output)),
        _ => (step.op().rule().macs)(step.params(), &types, &output),
    };
    let once: u64 = types.iter().chain([&output]).map(len).sum();
    // Elementary functions take some tens of operations.
    repeated.saturating_add(64 * once + 1000)
}

pub fn load_and_run(blocks: &[Block], len: usize) {
    let Ok(model) = Model::parse(&Block::bytes(blocks)[..len]) else { return };
    let _ = model.check_contents();
    let memory_bytes = Session::memory_bytes(&model);
    if memory_bytes > MEMORY_BYTES {
        return;
    }
    let mut memory = vec![Block([0xa5; 16]); Block::count(memory_bytes)];
    let Ok(mut session) = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)) else { return };
    let work = model.steps().fold(0u64, |sum, step| sum.saturating_add(work(&step)));
    if work.saturating_mul(model.cases().len() as u64 + 1) > WORK_LIMIT {
        return;
    }
    for index in 0..model.inputs().count() {
        let input = session.input_bytes(index).unwrap();
        for (at, to) in input.chunks_exact_mut(4).enumerate() {
            to.copy_from_slice(&VALUES[at % VALUES.len()].to_le_bytes());
        }
    }
    session.run().unwrap();
    if let Err(Divergence::Run(error)) = session.check_goldens() {
        panic!("{error}");
    }
    for index in 0..model.output_numbers().len() {
        assert!(session.output_bytes(index).is_some());
    }
}
