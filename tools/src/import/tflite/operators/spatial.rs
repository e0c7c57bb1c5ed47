//! Windows over images, and what changes their size.

use flatpack_format::OpCode;
use flatpack_format::ops::average_pool_2d::Pool2dParams;
use flatpack_format::ops::resize_bilinear::ResizeBilinearParams;
use flatpack_format::ops::resize_nearest_neighbor::{
    ALIGN_CORNERS, CORNERS, HALF_PIXEL_CENTERS, ResizeNearestNeighborParams,
};

use super::products::four;
use super::{Lower, one};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::tflite::lower::{Lowering, Value, clamp, misfit};
use crate::import::tflite::model::Operator;
use crate::import::tflite::options::{Blocks, Padding, Pool2d, ResizeBilinear, ResizeNearestNeighbor};

pub(super) const OPERATORS: &[(&str, Lower)] = &[
    ("AVERAGE_POOL_2D", |low, operator| pool(low, operator, OpCode::AveragePool2d)),
    ("BATCH_TO_SPACE_ND", batch_to_space),
    ("DEPTH_TO_SPACE", depth_to_space),
    ("MAX_POOL_2D", |low, operator| pool(low, operator, OpCode::MaxPool2d)),
    ("RESIZE_BILINEAR", resize_bilinear),
    ("RESIZE_NEAREST_NEIGHBOR", resize_nearest_neighbor),
    ("SPACE_TO_BATCH_ND", space_to_batch),
    ("SPACE_TO_DEPTH", space_to_depth),
];

/// An option that counts.
pub(super) fn positive(what: &str, value: i32) -> Result<u32, Fault> {
    let known = u32::try_from(value).ok().filter(|&value| value > 0);
    known.ok_or_else(|| misfit(what, value.to_string(), "a positive number"))
}

/// Zeros before and after an axis of `input` elements, for a window of `taps`.
pub(super) fn window(input: u32, taps: u32, stride: u32, dilation: u32, padding: Padding) -> [u32; 2] {
    if padding == Padding::Valid {
        return [0, 0];
    }
    let reach = (u64::from(taps.saturating_sub(1)) * u64::from(dilation)).saturating_add(1);
    let last = u64::from(input.div_ceil(stride.max(1)).saturating_sub(1)) * u64::from(stride);
    let total = last.saturating_add(reach).saturating_sub(input.into());
    // What does not fit is refused by the operator's own rule.
    let total = u32::try_from(total).unwrap_or(u32::MAX);
    [total / 2, total - total / 2]
}

fn pool(low: &mut Lowering<'_, '_>, operator: &Operator<'_>, op: OpCode) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<Pool2d>()?;
    let x = low.x(operator, 0)?;
    let [_, h, w, _] = four(low, x, "the input")?;
    let stride = [positive("the stride", options.stride_h)?, positive("the stride", options.stride_w)?];
    let size = [positive("the window", options.filter_h)?, positive("the window", options.filter_w)?];
    let params = Pool2dParams {
        window: size,
        stride,
        pad_h: window(h, size[0], stride[0], 1, options.padding),
        pad_w: window(w, size[1], stride[1], 1, options.padding),
        clamp: clamp(options.activation)?,
    };
    one(low.node(op, params, &[x])?)
}

/// The size that the second input of a resizing operator says.
fn size(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<[u32; 2], Fault> {
    let size = low.integers(operator, 1)?.extents()?;
    size.as_slice().try_into().map_err(|_| misfit("the size", format!("{size:?}"), "height and width"))
}

/// How pixels of input and output lie on each other.
fn grid(align_corners: bool, half_pixel_centers: bool) -> Result<u32, Fault> {
    match (align_corners, half_pixel_centers) {
        (false, false) => Ok(CORNERS),
        (false, true) => Ok(HALF_PIXEL_CENTERS),
        (true, false) => Ok(ALIGN_CORNERS),
        (true, true) => Err(misfit("the options", "align_corners and half_pixel_centers", "one of them")),
    }
}

fn resize_bilinear(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<ResizeBilinear>()?;
    let grid = grid(options.align_corners, options.half_pixel_centers)?;
    let (x, size) = (low.x(operator, 0)?, size(low, operator)?);
    one(low.node(OpCode::ResizeBilinear, ResizeBilinearParams { size, grid }, &[x])?)
}

fn resize_nearest_neighbor(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<ResizeNearestNeighbor>()?;
    let grid = grid(options.align_corners, options.half_pixel_centers)?;
    let (x, size) = (low.x(operator, 0)?, size(low, operator)?);
    one(low.moving(OpCode::ResizeNearestNeighbor, ResizeNearestNeighborParams { size, grid }, &[x])?)
}

/// Extents of the input, and the size of a block.
fn blocks(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<(TensorId, [u32; 4], u32), Fault> {
    let x = low.x(operator, 0)?;
    let dims = four(low, x, "the input")?;
    Ok((x, dims, positive("the block size", operator.options::<Blocks>()?.block_size)?))
}

fn indivisible(dims: &[u32], block: u32) -> Fault {
    misfit("the input", format!("shape {dims:?}"), format!("extents that blocks of {block} divide"))
}

fn depth_to_space(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let (x, [n, h, w, c], block) = blocks(low, operator)?;
    let divided = block.checked_mul(block).filter(|area| c % area == 0).map(|area| c / area);
    let depth = divided.ok_or_else(|| indivisible(&[n, h, w, c], block))?;
    let x = low.reshape(x, &[n, h, w, block, block, depth])?;
    let x = low.transpose(x, &[0, 1, 3, 2, 4, 5])?;
    one(low.reshape(x, &[n, h.saturating_mul(block), w.saturating_mul(block), depth])?)
}

fn space_to_depth(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let (x, [n, h, w, c], block) = blocks(low, operator)?;
    if h % block != 0 || w % block != 0 {
        return Err(indivisible(&[n, h, w, c], block));
    }
    let x = low.reshape(x, &[n, h / block, block, w / block, block, c])?;
    let x = low.transpose(x, &[0, 1, 3, 2, 4, 5])?;
    one(low.reshape(x, &[n, h / block, w / block, c.saturating_mul(block).saturating_mul(block)])?)
}

/// Height and width of a block, and the rows and columns added or dropped at the edges.
fn batches(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<([u32; 2], [[u32; 2]; 2]), Fault> {
    let (block, edges) = (low.integers(operator, 1)?.extents()?, low.integers(operator, 2)?.extents()?);
    match (block.as_slice(), edges.as_slice()) {
        (&[h, w], &[top, bottom, left, right]) if h > 0 && w > 0 => {
            Ok(([h, w], [[top, bottom], [left, right]]))
        }
        _ => Err(misfit("the blocks", format!("{block:?} with {edges:?}"), "height and width")),
    }
}

fn space_to_batch(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let (x, ([bh, bw], [rows, columns])) = (low.x(operator, 0)?, batches(low, operator)?);
    let x = low.padded(x, &[[0, 0], rows, columns, [0, 0]], 0.0)?;
    let [n, h, w, c] = four(low, x, "the input")?;
    if h % bh != 0 || w % bw != 0 {
        return Err(indivisible(&[n, h, w, c], bh.max(bw)));
    }
    let x = low.reshape(x, &[n, h / bh, bh, w / bw, bw, c])?;
    let x = low.transpose(x, &[2, 4, 0, 1, 3, 5])?;
    one(low.reshape(x, &[n.saturating_mul(bh).saturating_mul(bw), h / bh, w / bw, c])?)
}

fn batch_to_space(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let (x, ([bh, bw], [rows, columns])) = (low.x(operator, 0)?, batches(low, operator)?);
    let [n, h, w, c] = four(low, x, "the input")?;
    let area = bh.checked_mul(bw).filter(|area| n % area == 0);
    let area = area.ok_or_else(|| indivisible(&[n, h, w, c], bh.max(bw)))?;
    let x = low.reshape(x, &[bh, bw, n / area, h, w, c])?;
    let x = low.transpose(x, &[2, 3, 0, 4, 1, 5])?;
    let (h, w) = (h.saturating_mul(bh), w.saturating_mul(bw));
    let mut x = low.reshape(x, &[n / area, h, w, c])?;
    for (axis, [before, after], extent) in [(1, rows, h), (2, columns, w)] {
        let left = extent.checked_sub(before).and_then(|rest| rest.checked_sub(after));
        let left = left.filter(|&left| left > 0).ok_or_else(|| {
            misfit("the crops", format!("{before} and {after}"), format!("less than {extent}"))
        })?;
        x = low.part(x, axis, before, left)?;
    }
    one(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_has_the_odd_zero_behind() {
        assert_eq!(window(96, 3, 2, 1, Padding::Same), [0, 1]);
        assert_eq!(window(5, 3, 1, 1, Padding::Same), [1, 1]);
        assert_eq!(window(5, 3, 1, 2, Padding::Same), [2, 2]);
        assert_eq!(window(49, 10, 2, 1, Padding::Same), [4, 5]);
        assert_eq!(window(4, 1, 2, 1, Padding::Same), [0, 0]);
        assert_eq!(window(49, 10, 2, 1, Padding::Valid), [0, 0]);
        assert_eq!(window(1, u32::MAX, 1, u32::MAX, Padding::Same), [u32::MAX / 2, u32::MAX / 2 + 1]);
    }
}
