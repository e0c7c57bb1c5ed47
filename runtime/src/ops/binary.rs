//! What the elementwise operators of two inputs have in common: `y = clamp(f(a, b))`, with NumPy's
//! broadcasting.
//!
//! | operand | dtype | shape                   | layouts |
//! |---------|-------|-------------------------|---------|
//! | a       | f32   | any                     | rows    |
//! | b       | f32   | any that fits a's       | rows    |
//! | y       | f32   | a and b, broadcast      | rows    |
//!
//! y may lie in the place of a, of b, or of both. The rule proves the shapes, that the bounds are
//! ordered, and that an input which shares memory with y has all of it: then it is as long as y and
//! does not repeat.

use super::unary::UNIT;
use crate::arch::{Arch, Loops, clamp};
use crate::kernel::Node;
use crate::operands::Operands;
use crate::pieces::pieces_mut;
use crate::walk::{Axis, Walk, broadcast_dims, strides};
use bytemuck::Pod;
use flatpack_format::ops::binary::BinaryParams;

#[inline(always)]
pub(crate) fn run<A: Arch>(
    node: &Node<'_>,
    operands: Operands<'_>,
    f: impl Fn(f32, f32) -> f32 + Sync,
) -> Option<()> {
    let params: &BinaryParams = node.params()?;
    let (low, high) = (params.clamp.min, params.clamp.max);
    broadcast::<A, f32>(node, operands, |a, b| clamp(f(a, b), low, high))
}

/// What a byte of y is taken to cost, in multiply-accumulates: where few are computed by one thread, the lines that
/// another one has take it longer than what it does with them.
const COST: usize = 8;

/// An input along one run of y.
enum Side<'a, T> {
    /// It is what y holds.
    Place,
    /// An element for each of y's.
    Each(&'a [T]),
    /// One element for all.
    One(T),
}

impl<'a, T: Copy> Side<'a, T> {
    /// The run of `input`, if it is not in y's place, that begins at `at`.
    fn at(input: Option<&'a [T]>, at: usize, stride: isize) -> Option<Self> {
        match input {
            None => Some(Self::Place),
            Some(x) if stride == 0 => x.get(at).map(|x| Self::One(*x)),
            Some(x) => x.get(at..).map(Self::Each),
        }
    }

    /// An element for each of y's: `Some(None)` if they are what y holds, `None` if there is but one.
    fn elements(&self) -> Option<Option<&'a [T]>> {
        match self {
            Self::Place => Some(None),
            Self::Each(x) => Some(Some(x)),
            Self::One(_) => None,
        }
    }
}

/// `y = f(a, b)`, elementwise.
#[inline(always)]
pub(crate) fn broadcast<A: Arch, T: Pod + Send + Sync>(
    node: &Node<'_>,
    operands: Operands<'_>,
    f: impl Fn(T, T) -> T + Sync,
) -> Option<()> {
    broadcast_runs::<A, T>(node, operands, |_, _, _| None, f)
}

/// [`broadcast`], where `run` is offered what has an element of a and of b for each of y: `None` is for what y
/// holds. It gives `None` if it did not compute it.
#[inline(always)]
pub(crate) fn broadcast_runs<A: Arch, T: Pod + Send + Sync>(
    node: &Node<'_>,
    operands: Operands<'_>,
    run: impl Fn(Option<&[T]>, Option<&[T]>, &mut [T]) -> Option<()> + Sync,
    f: impl Fn(T, T) -> T + Sync,
) -> Option<()> {
    let walk = walk(node)?;
    let (reads, y) = operands.write::<T>(node.output()?)?;
    let a = if node.in_place(0) { None } else { Some(reads.get::<T>(node.input(0)?)?) };
    let b = if node.in_place(1) { None } else { Some(reads.get::<T>(node.input(1)?)?) };
    let ((len, strides), macs) = (walk.run(), COST * size_of_val(y));
    // One run is shared out by its elements, several as they are.
    let single = len == y.len();
    node.threads().share(y, if single { UNIT } else { len }, macs, |first, y| {
        let (walk, len) =
            if single { (walk.moved(first * UNIT), y.len()) } else { (walk.skipped(first), len) };
        A::vectorize(Runs { walk, len, strides, operands: [a, b], y, run: &run, f: &f })
    })
}

/// Some of the runs of y, or of one; `None` for an operand is what y holds.
struct Runs<'r, T, R, F> {
    walk: Walk<2>,
    len: usize,
    strides: [isize; 2],
    operands: [Option<&'r [T]>; 2],
    y: &'r mut [T],
    run: &'r R,
    f: &'r F,
}

impl<T, R, F> Loops for Runs<'_, T, R, F>
where
    T: Copy,
    R: Fn(Option<&[T]>, Option<&[T]>, &mut [T]) -> Option<()>,
    F: Fn(T, T) -> T,
{
    type Output = Option<()>;

    #[inline(always)]
    fn run<A: Arch>(self) -> Option<()> {
        let Self { walk, len, strides: [a_stride, b_stride], operands: [a, b], y, run, f } = self;
        for (y, [a_at, b_at]) in pieces_mut(y, len).zip(walk) {
            let (a, b) = (Side::at(a, a_at, a_stride)?, Side::at(b, b_at, b_stride)?);
            if let (Some(a), Some(b)) = (a.elements(), b.elements())
                && run(a, b, y).is_some()
            {
                continue;
            }
            match (a, b) {
                (Side::Place, Side::Place) => y.iter_mut().for_each(|y| *y = f(*y, *y)),
                (Side::Place, Side::Each(b)) => y.iter_mut().zip(b).for_each(|(y, b)| *y = f(*y, *b)),
                (Side::Place, Side::One(b)) => y.iter_mut().for_each(|y| *y = f(*y, b)),
                (Side::Each(a), Side::Place) => y.iter_mut().zip(a).for_each(|(y, a)| *y = f(*a, *y)),
                (Side::One(a), Side::Place) => y.iter_mut().for_each(|y| *y = f(a, *y)),
                (Side::Each(a), Side::Each(b)) => {
                    y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = f(*a, *b));
                }
                (Side::Each(a), Side::One(b)) => y.iter_mut().zip(a).for_each(|(y, a)| *y = f(*a, b)),
                (Side::One(a), Side::Each(b)) => y.iter_mut().zip(b).for_each(|(y, b)| *y = f(a, *b)),
                (Side::One(a), Side::One(b)) => y.fill(f(a, b)),
            }
        }
        Some(())
    }
}

/// The runs of a and b that make those of y. Once in a program, not once for each operator.
#[inline(never)]
fn walk(node: &Node<'_>) -> Option<Walk<2>> {
    let [a, b] = [node.input(0)?, node.input(1)?].map(|input| strides(&broadcast_dims(&input.shape())));
    let mut axes = broadcast_dims(&node.output()?.shape()).map(|len| Axis { len, strides: [0; 2] });
    for ((axis, a), b) in axes.iter_mut().zip(a).zip(b) {
        axis.strides = [a, b];
    }
    Some(Walk::new(axes.into_iter().rev()))
}

/// The kernel of an elementwise operator of two inputs: its opcode, and its function of a and b.
macro_rules! kernel {
    ($op:ident, $f:expr) => {
        /// The kernel.
        pub const KERNEL: $crate::kernel::Kernel = kernel::<$crate::arch::Active>();

        /// The kernel, with the loops of an instruction set.
        pub(crate) const fn kernel<A: $crate::arch::Arch>() -> $crate::kernel::Kernel {
            $crate::kernel::Kernel::new(
                flatpack_format::OpCode::$op,
                flatpack_format::ops::binary::RULE,
                |node, operands| $crate::ops::binary::run::<A>(node, operands, $f),
            )
        }
    };
}
pub(crate) use kernel;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::one_step::{EDGES, Input, input, meets, noise, refusal, run_in_place, run_twice, ulps};
    use crate::one_step::{output_type, run as run_step};
    use bytemuck::bytes_of;
    use flatpack_format::ops::Clamp;
    use flatpack_format::{Misfit, OpCode};
    use proptest::prelude::*;
    use std::vec::Vec;

    const PARAMS: BinaryParams = BinaryParams { clamp: Clamp::NONE };

    /// Two shapes that broadcast to one of up to six axes.
    pub(crate) fn shapes() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
        let axis = (1u32..5, 0u32..4);
        (prop::collection::vec(axis, 0..=6), 0usize..7, 0usize..7, any::<bool>()).prop_map(
            |(axes, a_rank, b_rank, same)| {
                let side = |rank: usize, single: u32| {
                    let dims = axes.iter().map(|&(len, which)| if which == single { 1 } else { len });
                    dims.skip(axes.len().saturating_sub(rank)).collect()
                };
                if same { (side(6, 9), side(6, 9)) } else { (side(a_rank, 0), side(b_rank, 1)) }
            },
        )
    }

    /// `formula` of the elements that broadcasting brings together, one index at a time.
    pub(crate) fn formula(a: &Input, b: &Input, dims: &[u32], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let element = |of: &Input, mut index: u32| {
            let (mut position, mut stride) = (0, 1);
            let mut own = of.dims.iter().rev();
            for dim in dims.iter().rev() {
                let len = own.next().copied().unwrap_or(1);
                position += index % dim % len * stride;
                stride *= len;
                index /= dim;
            }
            f64::from(of.values[position as usize])
        };
        (0..dims.iter().product()).map(|index| f(element(a, index), element(b, index))).collect()
    }

    fn assert_meets(got: &[f32], want: &[f64], tolerance_ulps: f64) {
        assert_eq!(got.len(), want.len());
        for (&got, &want) in got.iter().zip(want) {
            assert!(meets(got, want, ulps(tolerance_ulps, want)), "{got:e} is not {want:e}");
        }
    }

    /// Compares an operator with its formula: on pairs of edge values, on shapes that broadcast in
    /// all ways, and in place.
    pub(crate) fn it_meets(op: OpCode, formula: fn(f64, f64) -> f64, tolerance_ulps: f64) {
        let params = bytes_of(&PARAMS);
        let edges = EDGES.len() as u32;
        let (a, b) = (input(&[edges, 1], &EDGES), input(&[edges], &EDGES));
        let want = self::formula(&a, &b, &[edges, edges], formula);
        assert_meets(&run_step(op, params, &[a, b]), &want, tolerance_ulps);
        let scaled = |dims: &[u32], seed: u32| {
            let mut x = noise(dims, seed);
            x.values.iter_mut().for_each(|v| *v *= (1 << (seed % 8)) as f32);
            x
        };
        proptest!(|((a, b) in shapes(), seed: u32)| {
            let inputs = [scaled(&a, seed), scaled(&b, !seed)];
            let y = output_type(op, params, &inputs).unwrap().shape;
            let want = self::formula(&inputs[0], &inputs[1], y.dims(), formula);
            assert_meets(&run_step(op, params, &inputs), &want, tolerance_ulps);
            for index in [0, 1] {
                if inputs[index].dims == y.dims() {
                    assert_meets(&run_in_place(op, params, &inputs, index), &want, tolerance_ulps);
                }
            }
            let [x, _] = inputs;
            let want = self::formula(&x, &x, &x.dims, formula);
            assert_meets(&run_twice(op, params, &x), &want, tolerance_ulps);
        });
    }

    #[test]
    fn the_clamp_bounds_the_result() {
        let params = BinaryParams { clamp: Clamp { min: 0.0, max: 6.0 } };
        let (a, b) = (input(&[4], &[-2.0, 3.0, 5.0, f32::NAN]), input(&[], &[2.5]));
        let y = run_step(OpCode::Add, bytes_of(&params), &[a, b]);
        assert_eq!(y[..3], [0.5, 5.5, 6.0]);
        assert!(y[3].is_nan());
    }

    #[test]
    fn shapes_that_do_not_broadcast_are_refused() {
        let inputs = [noise(&[2, 3], 1), noise(&[2], 2)];
        assert_eq!(refusal(OpCode::Add, bytes_of(&PARAMS), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn bounds_in_the_wrong_order_are_refused() {
        let params = BinaryParams { clamp: Clamp { min: 1.0, max: 0.0 } };
        let inputs = [noise(&[2], 1), noise(&[2], 2)];
        assert_eq!(refusal(OpCode::Add, bytes_of(&params), &inputs, None), Misfit::Params);
    }

    #[test]
    fn a_single_input_is_refused() {
        assert_eq!(refusal(OpCode::Add, bytes_of(&PARAMS), &[noise(&[2], 1)], None), Misfit::Count);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let inputs = [noise(&[2, 3], 1), noise(&[3], 2)];
        let output = noise(&[3, 2], 0).tensor_type();
        assert_eq!(refusal(OpCode::Add, bytes_of(&PARAMS), &inputs, Some(output)), Misfit::Shape(2));
    }
}
