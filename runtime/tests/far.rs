//! Activations in two memories: the same results as in one, and what a session asks of both.

mod every_op;

use every_op::moved;
use flatpack_format::writer::{Draft, Memory};
use flatpack_format::{Block, Model, OpCode, Target};
use flatpack_runtime::{LoadError, Progress, Session, ops};

fn with_model<T>(draft: &Draft, f: impl FnOnce(Model<'_>) -> T) -> T {
    let (blocks, len) = draft.write().unwrap();
    f(Model::parse(&Block::bytes(&blocks)[..len]).unwrap())
}

fn near_bytes(model: &Model<'_>) -> usize {
    (model.header().arena_bytes + model.header().state_bytes) as usize
}

fn memory(bytes: usize) -> Vec<Block> {
    vec![Block([0x5a; 16]); Block::count(bytes)]
}

/// The bits of all outputs after two runs, the second of which is cut into parts as small as there are.
fn outputs(mut session: Session<'_>) -> Vec<Vec<u8>> {
    let model = session.model();
    let mut outputs = Vec::new();
    for run in 0..2u8 {
        for index in 0..model.inputs().count() {
            // Of all types: bytes of 0 and 1, and reals near 0.5.
            let input = session.input_bytes(index).unwrap();
            input.iter_mut().enumerate().for_each(|(at, byte)| *byte = [1, 0, run, 0x3f][at % 4]);
        }
        match run {
            0 => session.run().unwrap(),
            _ => while session.step_within(1).unwrap() == Progress::Running {},
        }
        outputs.extend((0..model.outputs().count()).map(|at| session.output_bytes(at).unwrap().to_vec()));
    }
    outputs
}

/// Runs a model with both arenas in one memory, and in two.
fn in_one_and_in_two(draft: &Draft) -> [Vec<Vec<u8>>; 2] {
    with_model(draft, |model| {
        let mut one = memory(Session::memory_bytes(&model));
        let session = Session::load(model, ops::ALL, Block::bytes_mut(&mut one)).unwrap();
        let in_one = outputs(session);
        let (mut near, mut far) = (memory(near_bytes(&model)), memory(model.header().far_bytes as usize));
        let [near, far] = [&mut near, &mut far].map(|blocks| Block::bytes_mut(blocks));
        [in_one, outputs(Session::load_with_far(model, ops::ALL, near, far).unwrap())]
    })
}

#[test]
fn every_operator_computes_the_same_wherever_its_operands_lie() {
    for &op in OpCode::ALL {
        let draft = every_op::one(op, Target::Portable);
        let [expected, _] = in_one_and_in_two(&draft);
        let activations: Vec<u32> = (0..draft.tensors.len() as u32)
            .filter(|&number| matches!(draft.tensors[number as usize].memory, Memory::Arena(_)))
            .collect();
        for far in 1..1usize << activations.len() {
            let is_far = |number: u32| {
                let at = activations.iter().position(|&activation| activation == number);
                at.is_some_and(|at| far >> at & 1 == 1)
            };
            let moved = moved(&draft, is_far);
            with_model(&moved, |model| assert!(model.header().far_bytes > 0));
            assert_eq!(in_one_and_in_two(&moved), [expected.clone(), expected.clone()], "{op:?} {far:b}");
        }
    }
}

#[test]
fn a_memory_that_does_not_do_is_named() {
    with_model(&far_sum(), |model| {
        let (near_bytes, far_bytes) = (near_bytes(&model), model.header().far_bytes as usize);
        assert_eq!(Session::memory_bytes(&model), near_bytes + far_bytes);
        let (mut near, mut far) = (memory(near_bytes + 16), memory(far_bytes + 16));
        let (near, far) = (Block::bytes_mut(&mut near), Block::bytes_mut(&mut far));
        let mut error = |near_at: usize, near_len: usize, far_at: usize, far_len: usize| {
            let near = &mut near[near_at..near_at + near_len];
            let far = &mut far[far_at..far_at + far_len];
            Session::load_with_far(model, ops::ALL, near, far).err()
        };
        assert_eq!(error(0, near_bytes, 0, far_bytes), None);
        let needed_bytes = near_bytes as u32;
        let too_small = Some(LoadError::ArenaTooSmall { needed_bytes });
        assert_eq!(error(0, near_bytes - 1, 0, far_bytes), too_small);
        assert_eq!(error(8, near_bytes, 0, far_bytes), Some(LoadError::ArenaMisaligned));
        let needed_bytes = far_bytes as u32;
        let too_small = Some(LoadError::FarTooSmall { needed_bytes });
        assert_eq!(error(0, near_bytes, 0, far_bytes - 1), too_small);
        assert_eq!(error(0, near_bytes, 0, 0), too_small);
        assert_eq!(error(0, near_bytes, 8, far_bytes), Some(LoadError::FarMisaligned));

        let mut one = memory(near_bytes + far_bytes);
        let one = Block::bytes_mut(&mut one);
        let needed_bytes = one.len() as u32;
        let too_small = LoadError::ArenaTooSmall { needed_bytes };
        let short = Session::load(model, ops::ALL, &mut one[..near_bytes]);
        assert_eq!(short.err(), Some(too_small));
        assert!(Session::load(model, ops::ALL, one).is_ok());
    });
}

/// A sum with a constant, from the arena to the far arena.
fn far_sum() -> Draft {
    let draft = every_op::one(OpCode::Add, Target::Portable);
    moved(&draft, |number| number == draft.steps[0].outputs[0])
}

#[cfg(feature = "macros")]
mod included {
    use super::*;

    flatpack_runtime::include_model!(FAR, "tests/far.fpk");

    #[test]
    fn the_file_is_what_its_draft_makes() {
        let (blocks, len) = far_sum().write().unwrap();
        let made = &Block::bytes(&blocks)[..len];
        if made != FAR::FILE {
            let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("far.fpk");
            std::fs::write(&path, made).unwrap();
            panic!("tests/far.fpk is not what its draft makes: copy it from {}", path.display());
        }
    }

    #[test]
    fn a_module_has_both_memories() {
        with_model(&far_sum(), |model| {
            assert_eq!(FAR::ARENA_BYTES + FAR::STATE_BYTES, near_bytes(&model));
            assert_eq!(FAR::FAR_BYTES, model.header().far_bytes as usize);
        });
        let (mut arena, mut far) = (FAR::ARENA, FAR::FAR_ARENA);
        assert_eq!((size_of_val(&arena), size_of_val(&far)), (FAR::ARENA_BYTES, FAR::FAR_BYTES));
        let mut session = FAR::load(&mut arena, &mut far).unwrap();
        FAR::INPUT.of(&mut session).unwrap().fill(0.5);
        session.run().unwrap();
        let sums: [f32; 24] = core::array::from_fn(|at| 0.5 + [-0.75, -0.5, -0.25][at / 4 % 3]);
        assert_eq!(FAR::OUTPUT.of(&session), Some(&sums));
        let (output, far) = (output_at(), Block::bytes(&far));
        assert_eq!(far[output..][..4], (-0.25f32).to_le_bytes());
    }

    /// Where the output begins in the far arena.
    fn output_at() -> usize {
        with_model(&far_sum(), |model| model.outputs().next().unwrap().offset() as usize)
    }
}

#[test]
fn a_model_of_one_memory_does_not_look_at_another() {
    with_model(&every_op::one(OpCode::Add, Target::Portable), |model| {
        let (mut near, mut far) = (memory(near_bytes(&model)), memory(16));
        let far = &mut Block::bytes_mut(&mut far)[1..1];
        assert!(Session::load_with_far(model, ops::ALL, Block::bytes_mut(&mut near), far).is_ok());
    });
}
