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
use crate::pieces::{pieces_mut, tail};
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

/// Whether elements of an input that repeats are laid side by side, one for each of as many of y's: on a gateway.
const LAYS: bool = cfg!(feature = "std");

/// How many.
const SIDE_BY_SIDE: usize = if LAYS { 512 } else { 0 };

/// Bytes of the longest pattern that is: to begin a run takes as long as what it does with some times as many.
const PATTERN: usize = 128;

/// An input along one run of y.
enum Side<'a, T> {
    /// An element for each of y's; `None` if they are what y holds.
    Each(Option<&'a [T]>),
    /// One element for all.
    One(T),
}

impl<'a, T: Copy> Side<'a, T> {
    /// The run of `input`, if it is not in y's place, that begins at `at`.
    fn at(input: Option<&'a [T]>, at: usize, stride: isize) -> Option<Self> {
        match input {
            Some(x) if stride == 0 => x.get(at).map(|x| Self::One(*x)),
            _ => tail(input, at).map(Self::Each),
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
    broadcast_runs::<A, T, fn(Option<&[T]>, Option<&[T]>, &mut [T]) -> Option<()>>(node, operands, None, f)
}

/// [`broadcast`], where `run` is offered what has an element of a and of b for each of y: `None` is for what y
/// holds. It gives `None` if it did not compute it.
#[inline(always)]
pub(crate) fn broadcast_runs<A: Arch, T: Pod + Send + Sync, R>(
    node: &Node<'_>,
    operands: Operands<'_>,
    run: Option<R>,
    f: impl Fn(T, T) -> T + Sync,
) -> Option<()>
where
    R: Fn(Option<&[T]>, Option<&[T]>, &mut [T]) -> Option<()> + Sync,
{
    let walk = walk(node)?;
    let (walk, pattern) = if LAYS { walk.patterns(PATTERN / size_of::<T>()) } else { (walk, 1) };
    let (reads, y) = operands.write::<T>(node.output()?)?;
    let a = if node.in_place(0) { None } else { Some(reads.get::<T>(node.input(0)?)?) };
    let b = if node.in_place(1) { None } else { Some(reads.get::<T>(node.input(1)?)?) };
    let ((len, strides), macs) = (walk.run(), COST * size_of_val(y));
    // Loops by f have one element for all as it is.
    let repeated = if LAYS && (pattern > 1 || run.is_some()) {
        match strides {
            [0, 0] => None,
            [0, _] => Some(Repeated::A),
            [_, 0] => Some(Repeated::B),
            _ => None,
        }
    } else {
        None
    };
    // One run is shared out by its patterns, several as they are.
    let single = len * pattern == y.len();
    let unit = if single { UNIT } else { len };
    node.threads().share(y, unit * pattern, macs, |first, y| {
        let (walk, len) =
            if single { (walk.moved(first * unit), y.len()) } else { (walk.skipped(first), len * pattern) };
        let runs = Runs { walk, len, strides, operands: [a, b], y, run: run.as_ref(), f: &f };
        match repeated {
            Some(repeated) => A::vectorize(Patterns { runs, pattern, repeated }),
            None => A::vectorize(runs),
        }
    })
}

/// Some of the runs of y, or of one; `None` for an operand is what y holds.
struct Runs<'r, T, R, F> {
    walk: Walk<2>,
    len: usize,
    strides: [isize; 2],
    operands: [Option<&'r [T]>; 2],
    y: &'r mut [T],
    run: Option<&'r R>,
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
            match (Side::at(a, a_at, a_stride)?, Side::at(b, b_at, b_stride)?) {
                (Side::Each(a), Side::Each(b)) => each(a, b, y, run, f),
                (Side::Each(None), Side::One(b)) => y.iter_mut().for_each(|y| *y = f(*y, b)),
                (Side::One(a), Side::Each(None)) => y.iter_mut().for_each(|y| *y = f(a, *y)),
                (Side::Each(Some(a)), Side::One(b)) => y.iter_mut().zip(a).for_each(|(y, a)| *y = f(*a, b)),
                (Side::One(a), Side::Each(Some(b))) => y.iter_mut().zip(b).for_each(|(y, b)| *y = f(a, *b)),
                (Side::One(a), Side::One(b)) => y.fill(f(a, b)),
            }
        }
        Some(())
    }
}

/// The operand that repeats.
#[derive(Clone, Copy)]
enum Repeated {
    A,
    B,
}

/// Runs in which a pattern of one operand repeats, which is laid side by side.
struct Patterns<'r, T, R, F> {
    runs: Runs<'r, T, R, F>,
    /// Its elements.
    pattern: usize,
    repeated: Repeated,
}

impl<T, R, F> Loops for Patterns<'_, T, R, F>
where
    T: Pod,
    R: Fn(Option<&[T]>, Option<&[T]>, &mut [T]) -> Option<()>,
    F: Fn(T, T) -> T,
{
    type Output = Option<()>;

    #[inline(always)]
    fn run<A: Arch>(self) -> Option<()> {
        let Self { runs: Runs { walk, len, operands: [a, b], y, run, f, .. }, pattern, repeated } = self;
        let mut room = [T::zeroed(); SIDE_BY_SIDE];
        for (y, [a_at, b_at]) in pieces_mut(y, len).zip(walk) {
            let (a, b) = (tail(a, a_at)?, tail(b, b_at)?);
            let of = match repeated {
                Repeated::A => a,
                Repeated::B => b,
            };
            let laid = lay(of?.get(..pattern)?, &mut room, len)?;
            for (at, y) in y.chunks_mut(laid.len().max(1)).enumerate() {
                let at = at * laid.len();
                match repeated {
                    Repeated::A => each(Some(laid), tail(b, at)?, y, run, f),
                    Repeated::B => each(tail(a, at)?, Some(laid), y, run, f),
                }
            }
        }
        Some(())
    }
}

/// Lays a pattern side by side, as often as there is room for it and y is long: whole sixteens, if they are.
#[inline(always)]
fn lay<'l, T: Copy>(pattern: &[T], room: &'l mut [T], len: usize) -> Option<&'l [T]> {
    let times = (room.len().min(len) / pattern.len().max(1)).max(1);
    let times = if times > 16 { times & !15 } else { times };
    let laid = room.get_mut(..times * pattern.len())?;
    match pattern {
        [one] => laid.fill(*one),
        _ => pieces_mut(laid, pattern.len()).for_each(|to| to.copy_from_slice(pattern)),
    }
    Some(laid)
}

/// `y = f(a, b)`, by `run` if it computes it. `None` for an operand is what y holds.
#[inline(always)]
fn each<T: Copy>(
    a: Option<&[T]>,
    b: Option<&[T]>,
    y: &mut [T],
    run: Option<&impl Fn(Option<&[T]>, Option<&[T]>, &mut [T]) -> Option<()>>,
    f: impl Fn(T, T) -> T,
) {
    if run.and_then(|run| run(a, b, y)).is_some() {
        return;
    }
    match (a, b) {
        (None, None) => y.iter_mut().for_each(|y| *y = f(*y, *y)),
        (None, Some(b)) => y.iter_mut().zip(b).for_each(|(y, b)| *y = f(*y, *b)),
        (Some(a), None) => y.iter_mut().zip(a).for_each(|(y, a)| *y = f(*a, *y)),
        (Some(a), Some(b)) => y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = f(*a, *b)),
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

    /// Two shapes that broadcast to one of up to six axes, or of up to three longer ones.
    pub(crate) fn shapes() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
        let axes = |len: u32, rank| prop::collection::vec((1..len, 0u32..4), 0..=rank);
        let axes = prop_oneof![3 => axes(5, 6), 1 => axes(32, 3)];
        (axes, 0usize..7, 0usize..7, any::<bool>()).prop_map(|(axes, a_rank, b_rank, same)| {
            let side = |rank: usize, single: u32| {
                let dims = axes.iter().map(|&(len, which)| if which == single { 1 } else { len });
                dims.skip(axes.len().saturating_sub(rank)).collect()
            };
            if same { (side(6, 9), side(6, 9)) } else { (side(a_rank, 0), side(b_rank, 1)) }
        })
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
