//! Hostile files: refused, or run to their end. Nothing here may panic; sums and indices that
//! overflow would, in the build that tests are made with.

mod every_op;

use flatpack_format::writer::{Draft, Memory};
use flatpack_format::{Block, Header, Layout, Model, OpCode, SectionRecord, Target};
use flatpack_runtime::golden::Divergence;
use flatpack_runtime::{LoadError, Session, ops};
use proptest::prelude::*;

/// Memory enough for the small models here, and no more: a file cannot ask for much work in it.
const MEMORY_BYTES: usize = 1 << 20;

/// Values that arithmetic stumbles over.
const VALUES: [f32; 12] = [
    0.0,
    -0.0,
    1.0,
    -2.5,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::MAX,
    f32::MIN,
    1e-40,
    f32::MIN_POSITIVE,
    1e9,
];

#[derive(Clone)]
struct File {
    blocks: Vec<Block>,
    len: usize,
}

impl File {
    fn of(draft: &Draft) -> Self {
        let (blocks, len) = draft.write().unwrap();
        Self { blocks, len }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut Block::bytes_mut(&mut self.blocks)[..self.len]
    }

    /// Makes the header's checksum right, if the directory lies within the file.
    fn repair_header(&mut self) {
        let header = size_of::<Header>();
        let count: u32 = bytemuck::pod_read_unaligned(&self.bytes_mut()[16..20]);
        let Some(len) = (count as usize).checked_mul(size_of::<SectionRecord>()) else { return };
        let Some(end) = len.checked_add(header).filter(|&end| end <= self.len) else { return };
        self.bytes_mut()[20..24].fill(0);
        let crc = crc32fast::hash(&self.bytes_mut()[..end]);
        self.bytes_mut()[20..24].copy_from_slice(&crc.to_le_bytes());
    }
}

/// How far a file came.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Parse,
    Load,
    Run,
}

/// Parses, loads, tests itself and runs twice, in memory that is full of what was there before.
/// What is loaded must run to its end.
fn parse_load_run(file: &File, memory: &mut [Block]) -> End {
    let Ok(model) = Model::parse(&Block::bytes(&file.blocks)[..file.len]) else { return End::Parse };
    let memory = Block::bytes_mut(memory);
    let mut session = match Session::load(model, ops::ALL, memory) {
        Ok(session) => session,
        Err(error) => {
            assert!(!matches!(error, LoadError::ArenaMisaligned));
            return End::Load;
        }
    };
    if let Err(Divergence::Run(error)) = session.check_goldens() {
        panic!("{error}");
    }
    for shift in 0..2 {
        for index in 0..model.inputs().count() {
            let input = session.input_bytes(index).unwrap();
            for (at, to) in input.chunks_exact_mut(4).enumerate() {
                to.copy_from_slice(&VALUES[(at * (shift + 1) + shift) % VALUES.len()].to_le_bytes());
            }
        }
        session.run().unwrap();
        for (index, output) in model.outputs().enumerate() {
            assert_eq!(session.output_bytes(index).unwrap().len(), output.bytes() as usize);
        }
    }
    End::Run
}

fn memory() -> Vec<Block> {
    vec![Block([0xa5; 16]); Block::count(MEMORY_BYTES)]
}

fn known() -> Vec<OpCode> {
    ops::ALL.iter().map(|kernel| kernel.op).collect()
}

#[test]
fn the_samples_have_every_operator() {
    let mut known = known();
    known.sort();
    assert_eq!(known, OpCode::ALL);
}

#[test]
fn the_samples_run() {
    for target in [Target::Portable, Target::Linux] {
        let all = File::of(&every_op::all(&known(), target));
        assert_eq!(parse_load_run(&all, &mut memory()), End::Run);
        for op in known() {
            let one = File::of(&every_op::one(op, target));
            assert_eq!(parse_load_run(&one, &mut memory()), End::Run, "{op:?}");
        }
    }
}

#[test]
fn outputs_over_a_part_of_an_input_are_refused_or_far_enough() {
    for op in known() {
        let draft = every_op::one(op, Target::Portable);
        let step = &draft.steps[0];
        let place = |tensor: u32| match draft.tensors[tensor as usize].memory {
            Memory::Arena(offset) => Some(offset),
            _ => None,
        };
        let (x, y) = (step.inputs[0], step.outputs[0]);
        let (Some(_), Some(_)) = (place(x), place(y)) else { continue };
        let types: Vec<_> =
            step.inputs.iter().map(|&input| draft.tensors[input as usize].tensor_type).collect();
        let [x_bytes, y_bytes] =
            [x, y].map(|t| draft.tensors[t as usize].tensor_type.bytes(Layout::Rows).unwrap());
        let rows = (op.rule().rows)(&step.params, &types, &draft.tensors[y as usize].tensor_type);
        for distance in (16..x_bytes.max(y_bytes)).step_by(16) {
            for (x_offset, y_offset) in [(0x8000 + distance, 0x8000), (0x8000, 0x8000 + distance)] {
                let mut draft = draft.clone();
                draft.tensors[x as usize].memory = Memory::Arena(x_offset);
                draft.tensors[y as usize].memory = Memory::Arena(y_offset);
                let overlaps = x_offset < y_offset + y_bytes && y_offset < x_offset + x_bytes;
                let far = rows.and_then(|rows| rows.overlap()).is_some_and(|o| o.allows(x_offset, y_offset));
                let end = parse_load_run(&File::of(&draft), &mut memory());
                assert_eq!(end == End::Run, far || !overlaps, "{op:?} {x_offset} {y_offset}");
            }
        }
    }
}

/// Values that differ from a byte in one bit, by one, or altogether.
fn other_values(was: u8) -> impl Iterator<Item = u8> {
    let bits = (0..8).map(move |bit| was ^ 1 << bit);
    bits.chain([was.wrapping_add(1), was.wrapping_sub(1), 0, 0xff, 0x7f, !was]).filter(move |&v| v != was)
}

/// Counts how far files come that differ from this one in one byte.
fn change_every_byte(mut file: File, memory: &mut [Block], ends: &mut [u32; 3]) {
    for at in 0..file.len {
        let was = file.bytes_mut()[at];
        for value in other_values(was) {
            file.bytes_mut()[at] = value;
            file.repair_header();
            look_at_unparsed(&file);
            ends[parse_load_run(&file, memory) as usize] += 1;
        }
        file.bytes_mut()[at] = was;
    }
}

/// Asks the view of a file that nothing has parsed for all that it has.
fn look_at_unparsed(file: &File) {
    let Ok(model) = Model::accepted(&Block::bytes(&file.blocks)[..file.len]) else { return };
    let tensors = model.tensors().chain(model.inputs()).chain(model.outputs());
    let mut bytes: u64 = tensors.map(|tensor| u64::from(tensor.bytes()) + u64::from(tensor.len())).sum();
    for step in model.steps() {
        let operands = step.inputs().chain(step.writes());
        bytes += operands.map(|tensor| u64::from(tensor.offset())).sum::<u64>() + step.params().len() as u64;
        bytes += step.constant::<i32>(0).map_or(0, |elements| elements.len() as u64);
    }
    for case in model.cases() {
        bytes += case.inputs().chain(case.outputs()).map(|(_, data)| data.len() as u64).sum::<u64>();
    }
    std::hint::black_box(bytes);
}

#[test]
fn every_changed_byte_of_a_step_is_refused_or_harmless() {
    let mut memory = memory();
    let mut ends = [0u32; 3];
    for op in known() {
        for target in [Target::Portable, Target::Linux] {
            if target == Target::Linux && !every_op::step(op).packable() {
                continue;
            }
            change_every_byte(File::of(&every_op::one(op, target)), &mut memory, &mut ends);
        }
    }
    assert!(ends.iter().all(|&count| count > 1000), "{ends:?}");
}

#[test]
fn every_changed_byte_of_a_step_with_a_far_arena_is_refused_or_harmless() {
    let mut memory = memory();
    for op in [OpCode::Add, OpCode::Conv2d, OpCode::UnidirectionalSequenceLstm] {
        let draft = every_op::one(op, Target::Portable);
        let mut ends = [0u32; 3];
        for far in [draft.steps[0].inputs[0], draft.steps[0].outputs[0]] {
            let whole = File::of(&every_op::moved(&draft, |number| number == far));
            assert_eq!(parse_load_run(&whole, &mut memory), End::Run, "{op:?}");
            change_every_byte(whole, &mut memory, &mut ends);
        }
        assert!(ends.iter().all(|&count| count > 10), "{op:?}: {ends:?}");
    }
}

#[test]
fn every_changed_byte_of_a_model_of_all_operators_is_refused_or_harmless() {
    let whole = File::of(&every_op::all(&known(), Target::Portable));
    let (mut file, mut memory) = (whole.clone(), memory());
    let mut ends = [0u32; 3];
    for at in 0..whole.len {
        let was = file.bytes_mut()[at];
        for value in [was.wrapping_add(1), was ^ 0x80, !was] {
            file.bytes_mut()[at] = value;
            file.repair_header();
            ends[parse_load_run(&file, &mut memory) as usize] += 1;
        }
        file.bytes_mut()[at] = was;
    }
    assert!(ends.iter().all(|&count| count > 1000), "{ends:?}");
}

#[test]
fn every_truncation_is_refused() {
    let whole = File::of(&every_op::all(&known(), Target::Portable));
    let mut memory = memory();
    for len in 0..whole.len {
        let mut file = File { len, ..whole.clone() };
        assert_eq!(parse_load_run(&file, &mut memory), End::Parse);
        if len >= size_of::<Header>() {
            file.bytes_mut()[12..16].copy_from_slice(&(len as u32).to_le_bytes());
            file.repair_header();
            assert_eq!(parse_load_run(&file, &mut memory), End::Parse);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn edge_values_in_the_words_of_a_step_are_refused_or_harmless(
        op in any::<prop::sample::Index>(),
        packed: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), edge(), any::<bool>()), 1..5),
    ) {
        let ops = known();
        let target = if packed { Target::Linux } else { Target::Portable };
        let mut file = File::of(&every_op::one(ops[op.index(ops.len())], target));
        let (words, _) = file.bytes_mut().as_chunks_mut::<4>();
        for (at, value, add) in damage {
            let word = &mut words[at.index(words.len())];
            let was = u32::from_le_bytes(*word);
            *word = if add { was.wrapping_add(value) } else { value }.to_le_bytes();
        }
        file.repair_header();
        parse_load_run(&file, &mut memory());
    }

    /// Files that are well formed but for the parameters, which only the operators look at.
    #[test]
    fn any_parameters_are_refused_or_harmless(
        op in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), parameter()), 1..5),
    ) {
        let ops: Vec<_> = known().into_iter().filter(|op| op.params_bytes() > 0).collect();
        let mut draft = every_op::one(ops[op.index(ops.len())], Target::Portable);
        let (words, _) = draft.steps[0].params.as_chunks_mut::<4>();
        for (at, value) in damage {
            words[at.index(words.len())] = value.to_le_bytes();
        }
        // The output that the rule gives for the new parameters, where it gives one that is small.
        let types: Vec<_> =
            draft.steps[0].inputs.iter().map(|&t| draft.tensors[t as usize].tensor_type).collect();
        if let Ok(made) = (draft.steps[0].op.rule().output)(&draft.steps[0].params, &types)
            && made.bytes(flatpack_format::Layout::Rows).is_some_and(|bytes| (1..MEMORY_BYTES as u32 / 2).contains(&bytes))
        {
            draft.tensors[draft.steps[0].outputs[0] as usize].tensor_type = made;
            draft.cases.clear();
        }
        parse_load_run(&File::of(&draft), &mut memory());
    }
}

/// Words that sit on the edge of something.
fn edge() -> impl Strategy<Value = u32> {
    let edges = [0, 1, 2, 3, 5, 6, 7, 15, 16, 17, 24, 40, 64, 96, 255, 256, 0xffff, 0x1_0000, 1 << 31];
    prop_oneof![
        proptest::sample::select(edges.to_vec()),
        (0u32..64).prop_map(|below| u32::MAX - below),
        any::<u32>(),
        0u32..4096,
    ]
}

/// Small numbers, floats, and edges.
fn parameter() -> impl Strategy<Value = u32> {
    let floats = proptest::sample::select(VALUES.to_vec()).prop_map(f32::to_bits);
    prop_oneof![3 => 0u32..6, 1 => floats, 1 => edge()]
}
