//! Selection: `y = b` where c = 0, else `a`, with NumPy's broadcasting; a NaN is not 0.
//!
//! | operand | dtype | shape                   | layouts |
//! |---------|-------|-------------------------|---------|
//! | c       | f32   | any                     | rows    |
//! | a       | f32   | any that fits c's       | rows    |
//! | b       | f32   | any that fits both      | rows    |
//! | y       | f32   | c, a and b, broadcast   | rows    |
//!
//! y may lie in the place of any of them. The rule proves the shapes, and that an input which shares memory
//! with y has all of it: then it is as long as y and does not repeat.

use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::pieces_mut;
use crate::walk::{Axis, Walk, broadcast_dims, strides};
use flatpack_format::OpCode;
use flatpack_format::ops::select::RULE;

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::Select, RULE, run);

/// An input along one run of y: `None` if it is what y holds, else what is left of it and the elements from
/// one index to the next.
type Side<'a> = Option<(&'a [f32], usize)>;

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let walk = walk(node)?;
    let (len, strides) = walk.run();
    let [c_every, a_every, b_every] = strides.map(isize::unsigned_abs);
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let read = |index: usize| {
        Some(if node.in_place(index) { None } else { Some(reads.get::<f32>(node.input(index)?)?) })
    };
    let [c, a, b] = [read(0)?, read(1)?, read(2)?];
    for (y, [c_at, a_at, b_at]) in pieces_mut(y, len).zip(walk) {
        let (c, a, b) = (side(c, c_at, c_every)?, side(a, a_at, a_every)?, side(b, b_at, b_every)?);
        for (index, y) in y.iter_mut().enumerate() {
            let c = element(c, index, *y)?;
            *y = if c == 0.0 { element(b, index, *y)? } else { element(a, index, *y)? };
        }
    }
    Some(())
}

fn side(input: Option<&[f32]>, at: usize, every: usize) -> Option<Side<'_>> {
    match input {
        None => Some(None),
        Some(x) => Some(Some((x.get(at..)?, every))),
    }
}

#[inline]
fn element(side: Side<'_>, index: usize, place: f32) -> Option<f32> {
    match side {
        None => Some(place),
        Some((x, stride)) => x.get(index * stride).copied(),
    }
}

/// The runs of c, a and b that make those of y.
fn walk(node: &Node<'_>) -> Option<Walk<3>> {
    let input = |index| Some(strides(&broadcast_dims(&node.input(index)?.shape())));
    let [c, a, b] = [input(0)?, input(1)?, input(2)?];
    let mut axes = broadcast_dims(&node.output()?.shape()).map(|len| Axis { len, strides: [0; 3] });
    for (axis, ((c, a), b)) in axes.iter_mut().zip(c.into_iter().zip(a).zip(b)) {
        axis.strides = [c, a, b];
    }
    Some(Walk::new(axes.into_iter().rev()))
}

#[cfg(test)]
mod tests {
    use crate::one_step::{Input, indices, input, noise, output_type, refusal, run, run_in_place};
    use flatpack_format::{Misfit, OpCode};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Zeros of both signs, a NaN and others.
    fn conditions(dims: &[u32], seed: u32) -> Input {
        let mut c = noise(dims, seed);
        let edges = [0.0, -0.0, f32::NAN, 1.0, -1e-30];
        c.values.iter_mut().for_each(|v| *v = edges[(v.to_bits() >> 8) as usize % edges.len()]);
        c
    }

    /// The element of `of` that broadcasting brings to `index` of the output.
    fn at(of: &Input, index: &[u32]) -> f64 {
        let own = index.iter().skip(index.len() - of.dims.len()).zip(&of.dims).map(|(at, len)| at % len);
        of.at(&own.collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn it_meets_the_definition(
            axes in prop::collection::vec((1u32..5, 0u32..8), 0..=6),
            ranks in [0usize..7, 0usize..7, 0usize..7],
            seed: u32,
        ) {
            let side = |which: usize| -> Vec<u32> {
                let dims = axes.iter().map(|&(len, single)| if single >> which & 1 == 1 { 1 } else { len });
                dims.skip(axes.len().saturating_sub(ranks[which])).collect()
            };
            let inputs = [conditions(&side(0), seed), noise(&side(1), !seed), noise(&side(2), seed ^ 7)];
            let y = output_type(OpCode::Select, &[], &inputs).unwrap().shape;
            let [c, a, b] = &inputs;
            let want: Vec<f64> = indices(y.dims())
                .map(|index| if at(c, &index) == 0.0 { at(b, &index) } else { at(a, &index) })
                .collect();
            let meets = |got: Vec<f32>| {
                let same = |(got, want): (&f32, &f64)| f64::from(*got) == *want || (got.is_nan() && want.is_nan());
                got.len() == want.len() && got.iter().zip(&want).all(same)
            };
            prop_assert!(meets(run(OpCode::Select, &[], &inputs)));
            for index in 0..3 {
                if inputs[index].dims == y.dims() {
                    prop_assert!(meets(run_in_place(OpCode::Select, &[], &inputs, index)));
                }
            }
        }
    }

    #[test]
    fn shapes_that_do_not_broadcast_are_refused() {
        let of = |c: &[u32], a: &[u32], b: &[u32]| {
            refusal(OpCode::Select, &[], &[noise(c, 1), noise(a, 2), noise(b, 3)], None)
        };
        assert_eq!(of(&[2, 3], &[2], &[3]), Misfit::Shape(1));
        assert_eq!(of(&[1, 3], &[2, 1], &[4, 3]), Misfit::Shape(2));
    }

    #[test]
    fn two_inputs_are_refused() {
        assert_eq!(refusal(OpCode::Select, &[], &[noise(&[2], 1), noise(&[2], 2)], None), Misfit::Count);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let inputs = [input(&[], &[1.0]), noise(&[3], 1), noise(&[3], 2)];
        let output = noise(&[1, 3], 0).tensor_type();
        assert_eq!(refusal(OpCode::Select, &[], &inputs, Some(output)), Misfit::Shape(3));
    }
}
