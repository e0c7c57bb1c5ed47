//! What the elementwise operators of one input have in common: y may lie in the place of x.

use crate::arch::{Arch, Loops};
use crate::kernel::Node;
use crate::operands::Operands;
use crate::pieces::tail;

/// What an element is taken to cost, in multiply-accumulates.
const COST: usize = 16;

/// Elements that threads compute together: a line of a cache. Tests share out fewer.
pub(crate) const UNIT: usize = if cfg!(test) { 4 } else { 64 };

/// `y[i] = f(x[i])`.
#[inline(always)]
pub(crate) fn run<A: Arch>(
    node: &Node<'_>,
    operands: Operands<'_>,
    f: impl Fn(f32) -> f32 + Sync,
) -> Option<()> {
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let x = if node.in_place(0) { None } else { Some(reads.get::<f32>(node.input(0)?)?) };
    let macs = COST * y.len();
    node.threads().share(y, UNIT, macs, |first, y| {
        A::vectorize(Elements { x: tail(x, first * UNIT)?, y, f: &f });
        Some(())
    })
}

/// Some elements; `None` for x is what y holds.
struct Elements<'e, F> {
    x: Option<&'e [f32]>,
    y: &'e mut [f32],
    f: &'e F,
}

impl<F: Fn(f32) -> f32> Loops for Elements<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(self) {
        let Self { x, y, f } = self;
        match x {
            None => y.iter_mut().for_each(|y| *y = f(*y)),
            Some(x) => y.iter_mut().zip(x).for_each(|(y, x)| *y = f(*x)),
        }
    }
}

/// The kernel of an elementwise operator: its opcode, rule, and function of x, or of the parameter
/// record and x. `A` is the instruction set in it.
macro_rules! kernel {
    ($op:ident, $f:expr) => {
        $crate::ops::unary::kernel!(@ $op, flatpack_format::ops::unary::RULE, |node, operands| {
            $crate::ops::unary::run::<A>(node, operands, $f)
        });
    };
    ($op:ident, $rule:expr, $params:ty, $f:expr) => {
        $crate::ops::unary::kernel!(@ $op, $rule, |node, operands| {
            let params: &$params = node.params()?;
            $crate::ops::unary::run::<A>(node, operands, |x| ($f)(params, x))
        });
    };
    (@ $op:ident, $rule:expr, |$node:ident, $operands:ident| $run:expr) => {
        /// The kernel.
        pub const KERNEL: $crate::kernel::Kernel = kernel::<$crate::arch::Active>();

        /// The kernel, with the loops of an instruction set.
        pub(crate) const fn kernel<A: $crate::arch::Arch>() -> $crate::kernel::Kernel {
            $crate::kernel::Kernel::new(flatpack_format::OpCode::$op, $rule, |$node, $operands| $run)
        }
    };
}
pub(crate) use kernel;

#[cfg(test)]
pub(crate) mod tests {

    use crate::one_step::run as run_step;
    use crate::one_step::{EDGES, difference, input, meets, noise, recorded, refusal, run_in_place, whole};
    use bytemuck::bytes_of;
    use flatpack_format::ops::thresholded_relu::ThresholdedReluParams;
    use flatpack_format::ops::{Clamp, celu, clip, elu, gelu, hard_sigmoid, leaky_relu, squareplus};
    use flatpack_format::{DType, Misfit, OpCode};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Compares an operator with its formula, in place and apart, on edge values and on numbers
    /// near zero and of any size. `tolerance` is that of x and y.
    pub(crate) fn it_meets(
        op: OpCode,
        params: &[u8],
        formula: impl Fn(f64) -> f64,
        tolerance: impl Fn(f64, f64) -> f64,
    ) {
        let check = |values: &[f32]| {
            let x = [input(&[values.len() as u32], values)];
            let runs = [run_step(op, params, &x), run_in_place(op, params, &x, 0)];
            for (&x, y) in runs.iter().flat_map(|run| values.iter().zip(run)) {
                let want = formula(x.into());
                assert!(meets(*y, want, tolerance(x.into(), want)), "{x:e} gives {y:e}, not {want:e}");
            }
        };
        check(&EDGES);
        let number = prop_oneof![-4f32..4.0, -100f32..100.0, prop::num::f32::ANY];
        proptest!(|(values in prop::collection::vec(number, 1..60))| check(&values));
    }

    #[test]
    fn the_shape_of_x_stays() {
        let x = [noise(&[2, 3, 1, 4], 1)];
        assert_eq!(run_step(OpCode::Neg, &[], &x), x[0].values.iter().map(|v| -v).collect::<Vec<_>>());
    }

    #[test]
    fn integers_are_refused() {
        assert_eq!(refusal(OpCode::Neg, &[], &[whole(&[3], 1, DType::I32)], None), Misfit::DType(0));
    }

    #[test]
    fn a_second_input_is_refused() {
        assert_eq!(refusal(OpCode::Neg, &[], &[noise(&[3], 1), noise(&[3], 2)], None), Misfit::Count);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let output = noise(&[2, 2], 0).tensor_type();
        assert_eq!(refusal(OpCode::Neg, &[], &[noise(&[4], 1)], Some(output)), Misfit::Shape(1));
    }

    #[test]
    fn the_operators_give_what_keras_recorded() {
        let relu = clip::ClipParams { clamp: Clamp { min: 0.0, max: f32::INFINITY } };
        let relu6 = clip::ClipParams { clamp: Clamp { min: 0.0, max: 6.0 } };
        let hard_tanh = clip::ClipParams { clamp: Clamp { min: -1.0, max: 1.0 } };
        let leaky = leaky_relu::LeakyReluParams { alpha: 0.2 };
        let bounded = ThresholdedReluParams { threshold: 0.5, slope: 0.1, max: 2.0 };
        let elu = [elu::EluParams { alpha: 1.0 }, elu::EluParams { alpha: 0.7 }];
        let cases: [(&str, OpCode, &[u8]); 20] = [
            ("act_celu", OpCode::Celu, bytes_of(&celu::CeluParams { alpha: 1.0 })),
            ("act_elu", OpCode::Elu, bytes_of(&elu[0])),
            ("act_exponential", OpCode::Exp, &[]),
            ("act_gelu", OpCode::Gelu, bytes_of(&gelu::GeluParams { approximate: 0 })),
            (
                "act_hard_sigmoid",
                OpCode::HardSigmoid,
                bytes_of(&hard_sigmoid::HardSigmoidParams { slope: 1.0 / 6.0, offset: 0.5 }),
            ),
            ("act_hard_swish", OpCode::HardSwish, &[]),
            ("act_hard_tanh", OpCode::Clip, bytes_of(&hard_tanh)),
            ("act_leaky_relu", OpCode::LeakyRelu, bytes_of(&leaky)),
            ("act_mish", OpCode::Mish, &[]),
            ("act_relu", OpCode::Clip, bytes_of(&relu)),
            ("act_relu6", OpCode::Clip, bytes_of(&relu6)),
            ("act_selu", OpCode::Selu, &[]),
            ("act_sigmoid", OpCode::Logistic, &[]),
            ("act_softplus", OpCode::Softplus, &[]),
            ("act_softsign", OpCode::Softsign, &[]),
            ("act_squareplus", OpCode::Squareplus, bytes_of(&squareplus::SquareplusParams { b: 4.0 })),
            ("act_swish", OpCode::Swish, &[]),
            ("act_tanh", OpCode::Tanh, &[]),
            ("elu_layer", OpCode::Elu, bytes_of(&elu[1])),
            ("relu_max_slope_threshold", OpCode::ThresholdedRelu, bytes_of(&bounded)),
        ];
        for (case, op, params) in cases {
            let Some((x, want)) = recorded(case) else { return };
            assert!(difference(&run_step(op, params, &[x]), &want.values) < 1e-6, "{case}");
        }
    }
}
