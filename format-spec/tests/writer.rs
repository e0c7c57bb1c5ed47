//! What is written is read back.

mod file;

use bytemuck::{Zeroable, bytes_of};
use file::{BIAS, CLIPPED, File, SCALES, TOTAL, W, X, Y, sample};
use flatpack_format::writer::{CaseDraft, Draft, Memory, StepDraft, TensorDraft, WriteError};
use flatpack_format::{
    CaseRecord, DType, Error, Layout, Model, OpCode, Place, QuantRecord, ReceiptRecord, Rule, SectionKind,
    Shape, Target, TensorType,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

/// Dimensions, layout and place of a tensor whose memory is not assigned yet.
type TensorPlan = (Option<String>, DType, Vec<u32>, bool, Place, Option<Index>);

fn tensor_plan() -> impl Strategy<Value = TensorPlan> {
    let place = select(vec![Place::Constant, Place::Arena, Place::Arena, Place::State, Place::Far]);
    (
        option::of(".{0,8}"),
        select(DType::ALL.to_vec()),
        prop_oneof![vec(1u32..5, 0..=6), vec(1u32..40, 1..=2)],
        any::<bool>(),
        place,
        option::of(any::<Index>()),
    )
}

/// Operator, name, and what to choose operands with.
type StepPlan = (OpCode, Option<String>, Vec<u8>, Vec<Index>, Vec<Index>, usize);

fn step_plan() -> impl Strategy<Value = StepPlan> {
    (
        select(OpCode::ALL.to_vec()),
        option::of("[a-z/]{0,12}"),
        vec(any::<u8>(), 80),
        vec(any::<Index>(), 0..=16),
        vec(any::<Index>(), 1..=8),
        0usize..3,
    )
}

fn finite() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0f32), 0.0f32..1e9, Just(f32::MAX), Just(f32::MIN_POSITIVE)]
}

/// The output that byte `at` of weights in panels belongs to.
fn panel_output(dims: &[u32], dtype: DType, at: usize) -> u32 {
    let (element, depth) = (at as u32 / dtype.bytes(), dims[1..].iter().product::<u32>());
    element / (16 * depth) * 16 + element % 16
}

/// Gives each tensor memory of its own, and bytes made from `fill`.
fn tensors(plans: Vec<TensorPlan>, quants: usize, fill: u8) -> Vec<TensorDraft> {
    let (mut arena, mut state, mut far) = (0u32, 0u32, 0u32);
    let mut byte = fill;
    plans
        .into_iter()
        .map(|(name, dtype, dims, panels, place, quant)| {
            let tensor_type = TensorType { dtype, shape: Shape::new(&dims).unwrap() };
            let panels = panels && place == Place::Constant && !dims.is_empty();
            let layout = if panels { Layout::Panel16 } else { Layout::Rows };
            let bytes = tensor_type.bytes(layout).unwrap();
            let data = || {
                byte = byte.wrapping_mul(5).wrapping_add(1);
                let present = |at: usize| !panels || panel_output(&dims, dtype, at) < dims[0];
                (0..bytes as usize).map(|at| if present(at) { byte } else { 0 }).collect::<Vec<_>>()
            };
            let at = |end: &mut u32| {
                let start = *end;
                *end = (start + bytes).next_multiple_of(16);
                start
            };
            let memory = match place {
                Place::Constant => Memory::Constant({ data }()),
                Place::Arena => Memory::Arena(at(&mut arena)),
                Place::State => Memory::State(at(&mut state), { data }()),
                Place::Far => Memory::Far(at(&mut far)),
            };
            let quant = quant.filter(|_| quants > 0).map_or(0, |index| index.index(quants) as u32 + 1);
            TensorDraft { name, tensor_type, layout, quant, memory }
        })
        .collect()
}

fn steps(plans: Vec<StepPlan>, tensors: &[TensorDraft]) -> Vec<StepDraft> {
    let written = |t: &u32| !matches!(tensors[*t as usize].memory, Memory::Constant(_));
    let all: Vec<u32> = (0..tensors.len() as u32).collect();
    let written: Vec<u32> = all.iter().copied().filter(written).collect();
    // Without memory to write to there are no steps.
    let count = if written.is_empty() { 0 } else { plans.len() };
    plans
        .into_iter()
        .take(count)
        .map(|(op, name, mut params, inputs, writes, scratches)| {
            params.truncate(op.params_bytes() as usize);
            let mut free = written.clone();
            let mut chosen = vec![];
            for index in writes {
                if !free.is_empty() {
                    chosen.push(free.remove(index.index(free.len())));
                }
            }
            let scratches = chosen.split_off(chosen.len().saturating_sub(scratches).max(1));
            let readable: Vec<u32> = all.iter().copied().filter(|t| !scratches.contains(t)).collect();
            let inputs = inputs.iter().map(|index| readable[index.index(readable.len())]).collect();
            StepDraft { name, op, params, inputs, outputs: chosen, scratches }
        })
        .collect()
}

fn cases(draft: &Draft, plans: Vec<([f32; 4], Vec<Index>, u8)>) -> Vec<CaseDraft> {
    let bytes = |t: &u32| {
        let tensor = &draft.tensors[*t as usize];
        tensor.tensor_type.bytes(tensor.layout).unwrap() as usize
    };
    let receipt = |step: usize, probe: &Index| {
        let shape = draft.tensors[draft.steps[step].outputs[0] as usize].tensor_type.shape;
        ReceiptRecord {
            exact: 0,
            crc32: 0,
            step: step as u32,
            sum: f32::NAN,
            sum_abs: probe.index(1000) as f32,
            max_abs: f32::INFINITY,
            probe_index: [0, 1, 2, 3].map(|_| probe.index(shape.len().unwrap() as usize) as u32),
            probe_value: [1.0, -0.0, f32::NEG_INFINITY, 1e-40],
        }
    };
    plans
        .into_iter()
        .map(|([abs_tolerance, rel_tolerance, receipt_abs, receipt_rel], probes, fill)| CaseDraft {
            inputs: draft.inputs.iter().map(|t| vec![fill; bytes(t)]).collect(),
            outputs: draft.outputs.iter().map(|t| vec![!fill; bytes(t)]).collect(),
            tolerances: CaseRecord {
                abs_tolerance,
                rel_tolerance,
                receipt_abs_tolerance: receipt_abs,
                receipt_rel_tolerance: receipt_rel,
                ..CaseRecord::zeroed()
            },
            receipts: probes.iter().zip(0..draft.steps.len()).map(|(p, step)| receipt(step, p)).collect(),
        })
        .collect()
}

prop_compose! {
    fn draft()(
        target in select(Target::ALL.to_vec()),
        plans in vec(tensor_plan(), 0..14),
        step_plans in vec(step_plan(), 0..8),
        quants in vec((1e-9f32..1e9, any::<i32>()), 0..3),
        chosen in subsequence((0usize..14).collect::<Vec<_>>(), 0..4),
        outputs in vec(any::<Index>(), 0..4),
        case_plans in vec(([finite(), finite(), finite(), finite()], vec(any::<Index>(), 0..4), any::<u8>()), 0..3),
        meta in btree_map(".{0,12}", "\\PC{0,40}", 0..4),
        fill: u8,
    ) -> Draft {
        let tensors = tensors(plans, quants.len(), fill);
        let arena: Vec<u32> = (0..tensors.len() as u32)
            .filter(|&t| matches!(tensors[t as usize].memory, Memory::Arena(_) | Memory::Far(_)))
            .collect();
        let mut draft = Draft {
            target,
            steps: steps(step_plans, &tensors),
            tensors,
            inputs: chosen.iter().filter_map(|&i| arena.get(i).copied()).collect(),
            outputs: outputs.iter().filter(|_| !arena.is_empty()).map(|i| arena[i.index(arena.len())]).collect(),
            quants: quants
                .into_iter()
                .map(|(scale, zero_point)| QuantRecord { scale, zero_point, axis: u32::MAX, scales: u32::MAX })
                .collect(),
            cases: vec![],
            meta,
        };
        draft.cases = cases(&draft, case_plans);
        draft
    }
}

/// What a tensor of a model holds before the first run.
fn initial<'a>(model: &Model<'a>, number: u32) -> Option<&'a [u8]> {
    let tensor = model.tensor(number).unwrap();
    let range = tensor.offset() as usize..(tensor.offset() + tensor.bytes()) as usize;
    match tensor.place() {
        Place::Constant => model.bytes().get(range),
        Place::Arena | Place::Far => None,
        Place::State => model.section(SectionKind::StateInit).get(range),
    }
}

fn numbers<'a>(tensors: impl Iterator<Item = flatpack_format::Tensor<'a>>) -> Vec<u32> {
    tensors.map(|tensor| tensor.number()).collect()
}

fn assert_reads_back(draft: &Draft, model: &Model<'_>) {
    assert_eq!(model.target(), draft.target);
    assert_eq!(model.tensors().len(), draft.tensors.len());
    for (tensor, from) in model.tensors().zip(&draft.tensors) {
        assert_eq!(tensor.tensor_type(), from.tensor_type);
        assert_eq!(tensor.layout(), from.layout);
        assert_eq!(tensor.quant(), from.quant.checked_sub(1));
        assert_eq!(model.tensor_name(tensor.number()), from.name.as_deref());
        match &from.memory {
            Memory::Constant(data) => {
                assert_eq!(tensor.place(), Place::Constant);
                assert_eq!(initial(model, tensor.number()), Some(data.as_slice()));
                assert_eq!(tensor.offset() % model.header().align, 0);
            }
            Memory::Arena(offset) => assert_eq!((tensor.place(), tensor.offset()), (Place::Arena, *offset)),
            Memory::Far(offset) => assert_eq!((tensor.place(), tensor.offset()), (Place::Far, *offset)),
            Memory::State(offset, data) => {
                assert_eq!((tensor.place(), tensor.offset()), (Place::State, *offset));
                assert_eq!(initial(model, tensor.number()), Some(data.as_slice()));
            }
        }
    }
    assert_eq!(model.steps().len(), draft.steps.len());
    for (step, from) in model.steps().zip(&draft.steps) {
        assert_eq!(step.op(), from.op);
        assert_eq!(step.params(), from.params);
        assert_eq!(numbers(step.inputs()), from.inputs);
        assert_eq!(numbers(step.outputs()), from.outputs);
        assert_eq!(numbers(step.scratches()), from.scratches);
        assert_eq!(model.step_name(step.number()), from.name.as_deref());
    }
    assert_eq!(model.input_numbers(), draft.inputs);
    assert_eq!(model.outputs().map(|t| t.number()).collect::<Vec<_>>(), draft.outputs);
    assert_eq!(model.quants(), draft.quants);
    assert_eq!(model.cases().len(), draft.cases.len());
    for (case, from) in model.cases().zip(&draft.cases) {
        let expected = CaseRecord {
            data_offset: case.record().data_offset,
            data_bytes: case.record().data_bytes,
            receipt_count: from.receipts.len() as u32,
            ..from.tolerances
        };
        assert_eq!(*case.record(), expected);
        assert_eq!(case.inputs().map(|(_, data)| data.to_vec()).collect::<Vec<_>>(), from.inputs);
        assert_eq!(case.outputs().map(|(_, data)| data.to_vec()).collect::<Vec<_>>(), from.outputs);
        let bytes = |receipts: &[ReceiptRecord]| receipts.iter().map(|r| bytes_of(r).to_vec()).collect();
        let (got, want): (Vec<_>, Vec<_>) = (bytes(case.receipts()), bytes(&from.receipts));
        assert_eq!(got, want);
    }
    let meta: Vec<_> = draft.meta.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(model.metadata().collect::<Vec<_>>(), meta);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn what_is_written_is_read_back(draft in draft()) {
        let file = File::of(&draft);
        prop_assert_eq!(file.verify(), Ok(()));
        let model = Model::parse(file.bytes()).unwrap();
        file::walk(&model);
        assert_reads_back(&draft, &model);
        // The same draft gives the same bytes.
        let again = File::of(&draft);
        prop_assert_eq!(again.bytes(), file.bytes());
    }
}

#[test]
fn the_sample_is_read_back() {
    let file = File::sample();
    assert_reads_back(&sample(), &Model::parse(file.bytes()).unwrap());
}

#[test]
fn a_file_is_found_at_the_start_of_a_partition() {
    let file = File::sample();
    let mut partition = file.bytes().to_vec();
    partition.resize(file.len + 100, 0xff);
    assert_eq!(Model::file_in(&partition), file.bytes());
    let cut = &partition[..file.len - 1];
    assert_eq!(Model::file_in(cut), cut);
    assert_eq!(Model::file_in(&[0xff; 64]), [0xff; 64]);
    assert!(Model::file_in(&[]).is_empty());
}

#[test]
fn equal_neighbouring_constants_are_stored_once() {
    let file = File::sample();
    let model = Model::parse(file.bytes()).unwrap();
    let (bias, scales) = (model.tensor(BIAS).unwrap(), model.tensor(SCALES).unwrap());
    assert!(bias.same_memory(&scales));
    // Only neighbours are compared: w lies between the first bias and its twin here.
    let mut draft = sample();
    draft.quants[0].scales = BIAS;
    draft.tensors.swap(SCALES as usize, W as usize);
    draft.steps[0].inputs[1] = SCALES;
    let apart = File::of(&draft);
    assert_eq!(apart.verify(), Ok(()));
    assert!(apart.len > file.len);
}

#[test]
fn gateway_files_align_constants_to_64_bytes_and_the_weights_to_a_page() {
    let mut file = File::of(&Draft { target: Target::Linux, ..sample() });
    assert_eq!(file.verify(), Ok(()));
    assert_eq!(file.section(SectionKind::Weights).offset % 4096, 0);
    let model = Model::parse(file.bytes()).unwrap();
    let constants = model.tensors().filter(|t| t.place() == Place::Constant);
    assert_eq!(constants.map(|t| t.offset() % 64).collect::<Vec<_>>(), [0; 4]);
}

#[test]
fn a_model_without_steps_is_a_model() {
    let draft = Draft {
        target: Target::CortexM,
        tensors: vec![],
        steps: vec![],
        inputs: vec![],
        outputs: vec![],
        quants: vec![],
        cases: vec![],
        meta: [].into(),
    };
    let file = File::of(&draft);
    assert_eq!(file.verify(), Ok(()));
    // A header and five empty sections.
    assert_eq!(file.len, 96 + 5 * 24 + 8);
}

#[test]
fn the_header_sums_up_the_draft() {
    let file = File::sample();
    let header = *Model::parse(file.bytes()).unwrap().header();
    assert_eq!((header.arena_bytes, header.state_bytes, header.scratch_bytes), (96, 32, 7));
    // One fully connected step of 3 inputs and 5 outputs.
    assert_eq!(header.macs, 15);
    let mut ops = [0u32; 8];
    [OpCode::FullyConnected, OpCode::Clip, OpCode::Abs, OpCode::Add]
        .iter()
        .for_each(|&op| ops[op as usize / 32] |= 1 << (op as u32 % 32));
    assert_eq!(header.required_ops, ops);
}

#[test]
fn the_header_has_the_size_of_each_arena() {
    let mut draft = sample();
    // An output may have the offset of an input: they lie in different memories.
    draft.tensors[Y as usize].memory = Memory::Far(16);
    let file = File::of(&draft);
    assert_eq!(file.verify(), Ok(()));
    let model = Model::parse(file.bytes()).unwrap();
    let (x, y) = (model.tensor(CLIPPED).unwrap(), model.tensor(Y).unwrap());
    assert_eq!((x.offset(), x.bytes()), (y.offset(), y.bytes()));
    assert!(!x.overlaps(&y) && !x.same_memory(&y));
    assert_eq!((model.header().arena_bytes, model.header().far_bytes), (96, 48));
}

#[test]
fn data_of_another_length_are_not_written() {
    let with = |edit: fn(&mut Draft)| {
        let mut draft = sample();
        edit(&mut draft);
        draft.write().map(|_| ())
    };
    let constant = with(|draft| draft.tensors[BIAS as usize].memory = Memory::Constant(vec![0; 24]));
    assert_eq!(constant, Err(WriteError::DataLength { tensor: BIAS }));
    let state = with(|draft| draft.tensors[TOTAL as usize].memory = Memory::State(0, vec![0; 16]));
    assert_eq!(state, Err(WriteError::DataLength { tensor: TOTAL }));
    let input = with(|draft| draft.cases[0].inputs[0].truncate(8));
    assert_eq!(input, Err(WriteError::CaseLength { case: 0 }));
    let output = with(|draft| draft.cases[1].outputs.clear());
    assert_eq!(output, Err(WriteError::CaseLength { case: 1 }));
}

#[test]
fn a_draft_that_breaks_a_rule_is_not_written() {
    let mut draft = sample();
    draft.steps[0].inputs[0] = 99;
    let Err(WriteError::Invalid(Error { rule: Rule::V14, .. })) = draft.write() else { panic!() };
    let mut draft = sample();
    draft.steps[0].inputs = vec![X; 300];
    let Err(WriteError::Invalid(Error { rule: Rule::V13 | Rule::V14, .. })) = draft.write() else { panic!() };
    let mut draft = sample();
    draft.tensors[X as usize].tensor_type.shape = Shape::new(&[1 << 20, 1 << 20]).unwrap();
    assert_eq!(draft.write().err(), Some(WriteError::TooLarge));
}
