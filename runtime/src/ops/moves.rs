//! What the operators have in common that only move elements: y is x, read with other strides.

use crate::arch::{Active, Arch};
use crate::kernel::Node;
use crate::operands::Operands;
use crate::pieces::pieces_mut;
use crate::walk::{Axis, Walk};
use bytemuck::Pod;

/// Writes y in order, reading x along a walk over y's dimensions.
pub(crate) fn run(node: &Node<'_>, operands: Operands<'_>, walk: Walk<1>) -> Option<()> {
    let (len, [stride]) = walk.run();
    let (Axis { len: count, strides: [step] }, blocks) = walk.rows();
    if let (1, Ok(step)) = (stride, usize::try_from(step)) {
        let output = node.output()?;
        let size = output.dtype().bytes() as usize;
        let (reads, [y]) = operands.split([output])?;
        let x = reads.bytes(node.input(0)?)?;
        for (y, [at]) in pieces_mut(y, count * len * size).zip(blocks) {
            Active::copy_rows(y, len * size, x.get(at * size..)?, step * size, len * size)?;
        }
        return Some(());
    }
    match node.output()?.dtype().bytes() {
        1 => elements::<u8>(node, operands, walk),
        2 => elements::<u16>(node, operands, walk),
        _ => elements::<u32>(node, operands, walk),
    }
}

fn elements<T: Pod>(node: &Node<'_>, operands: Operands<'_>, walk: Walk<1>) -> Option<()> {
    let (reads, y) = operands.write::<T>(node.output()?)?;
    let x = reads.get::<T>(node.input(0)?)?;
    let (len, [stride]) = walk.run();
    let every = stride.unsigned_abs().max(1);
    for (y, [at]) in pieces_mut(y, len).zip(walk) {
        match stride {
            0 => y.fill(*x.get(at)?),
            1.. => y.iter_mut().zip(x.get(at..)?.iter().step_by(every)).for_each(|(y, x)| *y = *x),
            _ => y.iter_mut().zip(x.get(..=at)?.iter().rev().step_by(every)).for_each(|(y, x)| *y = *x),
        }
    }
    Some(())
}

/// Copies as many elements as both have.
#[inline]
pub(crate) fn copy<T: Copy>(y: &mut [T], x: &[T]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y = *x);
}
