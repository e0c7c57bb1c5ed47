//! Models that are part of a program: what their modules say, and what they check.
#![cfg(feature = "macros")]

use flatpack_runtime::golden::Divergence;
use flatpack_runtime::{
    Block, DType, Kernel, LoadError, Misfit, Model, Quant, RunError, Session, include_model, ops,
};

include_model!(REALS, "../firmware-example/digits_cnn.fpk");
include_model!(INTEGERS, "../firmware-example/digits_cnn_int8.fpk");

#[test]
fn kernels_are_those_of_the_model_and_no_others() {
    let names: Vec<&str> = INTEGERS::KERNELS.iter().map(|kernel| kernel.op.name()).collect();
    assert_eq!(
        names,
        ["conv_2d_i8", "depthwise_conv_2d_i8", "fully_connected_i8", "max_pool_2d_i8", "softmax_i8"]
    );
}

#[test]
fn ports_say_what_they_are() {
    let (input, output) = (INTEGERS::INPUT, INTEGERS::OUTPUT);
    assert_eq!((input.dtype, input.shape, input.index), (DType::I8, &[1, 8, 8, 1][..], 0));
    assert_eq!(output.quant, Some(Quant { scale: 1.0 / 256.0, zero_point: -128 }));
    assert_eq!((REALS::OUTPUT.shape, REALS::OUTPUT.quant), (&[1, 10][..], None));
    const { assert!(INTEGERS::ARENA_BYTES < REALS::ARENA_BYTES && INTEGERS::STATE_BYTES == 0) };
}

#[test]
fn a_port_of_another_model_gives_nothing() {
    let mut arena = INTEGERS::ARENA;
    let mut session = INTEGERS::load(&mut arena).unwrap();
    assert!(REALS::INPUT.of(&mut session).is_none() && REALS::OUTPUT.of(&session).is_none());
    assert!(INTEGERS::INPUT.of(&mut session).is_some() && INTEGERS::OUTPUT.of(&session).is_some());
}

#[test]
fn exact_goldens_are_met_without_reals_and_others_are_not() {
    let mut arena = INTEGERS::ARENA;
    let mut session = INTEGERS::load(&mut arena).unwrap();
    let checked = INTEGERS::check_goldens(&mut session).unwrap();
    assert_eq!(session.check_goldens(), Ok(checked));
    assert!(checked.cases > 0 && checked.receipts > 0 && checked.elements > 0);

    let mut arena = REALS::ARENA;
    let mut session = REALS::load(&mut arena).unwrap();
    assert!(REALS::check_goldens(&mut session).is_ok());
    assert_eq!(session.check_exact_goldens(), Err(Divergence::Digest { case: 0, step: 0 }));
}

#[test]
fn what_is_for_checked_steps_refuses_all_others() {
    let model = Model::parse(INTEGERS::FILE).unwrap();
    let mut arena = INTEGERS::ARENA;
    let mut load = |kernels: &[Kernel]| Session::load(model, kernels, Block::bytes_mut(&mut arena)).map(drop);
    assert_eq!(load(INTEGERS::KERNELS), Ok(()));
    let kernels: Vec<_> = INTEGERS::KERNELS.iter().map(|kernel| kernel.of_checked_steps()).collect();
    assert_eq!(load(&kernels), Err(LoadError::Misfit { step: 0, misfit: Misfit::Count }));
}

#[test]
fn the_first_kernel_of_an_operator_is_taken() {
    let model = Model::parse(INTEGERS::FILE).unwrap();
    for (number, step) in model.steps().enumerate() {
        let own = ops::ALL.iter().find(|kernel| kernel.op == step.op()).unwrap();
        let refusing = Kernel::new(own.op, own.rule, |_, _| None);
        for (kernels, refuses) in [
            ([&[refusing], ops::ALL].concat(), true),
            ([ops::ALL, &[refusing]].concat(), false),
            (ops::ALL.iter().rev().copied().chain([refusing]).collect(), false),
        ] {
            let mut arena = INTEGERS::ARENA;
            let mut session = Session::load(model, &kernels, Block::bytes_mut(&mut arena)).unwrap();
            let ran = session.run();
            let first = model.steps().position(|other| other.op() == step.op()).unwrap() as u32;
            let refused = refuses.then_some(RunError::Refused { step: first });
            assert_eq!(ran.err(), refused, "{:?} of step {number}", own.op);
        }
    }
}
