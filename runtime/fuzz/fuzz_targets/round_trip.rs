//! What can be parsed can be written, and then says the same.
#![no_main]

mod input;

use flatpack_format::writer::{CaseDraft, Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{Block, Model, Place, SectionKind, Tensor};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

/// Everything that a model says, as a draft.
fn draft(model: &Model<'_>) -> Draft {
    let numbers = |tensors: &mut dyn Iterator<Item = Tensor<'_>>| tensors.map(|t| t.number()).collect();
    let memory = |tensor: Tensor<'_>| {
        let range = tensor.offset() as usize..(tensor.offset() + tensor.bytes()) as usize;
        match tensor.place() {
            Place::Constant => Memory::Constant(model.bytes()[range].to_vec()),
            Place::Arena => Memory::Arena(tensor.offset()),
            Place::Far => Memory::Far(tensor.offset()),
            Place::State => {
                Memory::State(tensor.offset(), model.section(SectionKind::StateInit)[range].to_vec())
            }
        }
    };
    Draft {
        target: model.target(),
        tensors: model
            .tensors()
            .map(|tensor| TensorDraft {
                name: model.tensor_name(tensor.number()).map(Into::into),
                tensor_type: tensor.tensor_type(),
                layout: tensor.layout(),
                quant: tensor.quant().map_or(0, |quant| quant + 1),
                memory: memory(tensor),
            })
            .collect(),
        steps: model
            .steps()
            .map(|step| StepDraft {
                name: model.step_name(step.number()).map(Into::into),
                op: step.op(),
                params: step.params().to_vec(),
                inputs: numbers(&mut step.inputs()),
                outputs: numbers(&mut step.outputs()),
                scratches: numbers(&mut step.scratches()),
            })
            .collect(),
        inputs: model.input_numbers().to_vec(),
        outputs: model.output_numbers().to_vec(),
        quants: model.quants().to_vec(),
        cases: model
            .cases()
            .map(|case| CaseDraft {
                inputs: case.inputs().map(|(_, data)| data.to_vec()).collect(),
                outputs: case.outputs().map(|(_, data)| data.to_vec()).collect(),
                tolerances: *case.record(),
                receipts: case.receipts().to_vec(),
            })
            .collect(),
        meta: model.metadata().map(|(key, value)| (key.into(), value.into())).collect(),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(blocks) = input::repaired(data) else { return };
    let Ok(model) = Model::parse(&Block::bytes(&blocks)[..data.len()]) else { return };
    let first = draft(&model);
    // States that overlap agree on their common bytes, so that the last one written is right.
    let (written, len) = first.write().unwrap();
    let bytes = &Block::bytes(&written)[..len];
    let again = Model::parse(bytes).unwrap();
    let second = draft(&again);
    let told = |draft: &Draft| {
        let mut draft = draft.clone();
        // Where the data of goldens lie may differ.
        for case in &mut draft.cases {
            case.tolerances.data_offset = 0;
        }
        format!("{draft:?}")
    };
    assert_eq!(told(&first), told(&second));
    let (rewritten, len) = second.write().unwrap();
    assert_eq!(&Block::bytes(&rewritten)[..len], bytes);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    input::mutate(data, size, max_size, seed)
});
