//! Convolutions and matrix products.

use flatpack_format::OpCode;
use flatpack_format::ops::batch_matmul::BatchMatmulParams;
use flatpack_format::ops::conv_2d::Conv2dParams;
use flatpack_format::ops::depthwise_conv_2d::DepthwiseConv2dParams;
use flatpack_format::ops::fully_connected::FullyConnectedParams;
use flatpack_format::ops::transpose_conv_2d::TransposeConv2dParams;

use super::spatial::{positive, window};
use super::{Lower, one};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::tflite::lower::{Lowering, Value, clamp, misfit};
use crate::import::tflite::model::Operator;
use crate::import::tflite::options::{BatchMatmul, Conv2d, DepthwiseConv2d, FullyConnected, TransposeConv};

pub(super) const OPERATORS: &[(&str, Lower)] = &[
    ("BATCH_MATMUL", batch_matmul),
    ("CONV_2D", conv_2d),
    ("DEPTHWISE_CONV_2D", depthwise_conv_2d),
    ("FULLY_CONNECTED", fully_connected),
    ("TRANSPOSE_CONV", transpose_conv),
];

/// Extents of a tensor of four axes.
pub(super) fn four(low: &Lowering<'_, '_>, id: TensorId, what: &str) -> Result<[u32; 4], Fault> {
    let dims = low.graph.dims(id);
    dims.try_into().map_err(|_| misfit(what, format!("shape {dims:?}"), "four axes"))
}

/// The operands: what is convolved, the weights, and the bias where there is one.
fn operands(x: TensorId, w: TensorId, bias: Option<TensorId>) -> Vec<TensorId> {
    [x, w].into_iter().chain(bias).collect()
}

fn conv_2d(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<Conv2d>()?;
    let (x, w, bias) = (low.x(operator, 0)?, low.x(operator, 1)?, low.optional(operator, 2)?);
    let [_, h, width, c] = four(low, x, "the input")?;
    let [_, kh, kw, depth] = four(low, w, "the weights")?;
    let stride = [positive("the stride", options.stride_h)?, positive("the stride", options.stride_w)?];
    let dilation =
        [positive("the dilation", options.dilation_h)?, positive("the dilation", options.dilation_w)?];
    let params = Conv2dParams {
        stride,
        dilation,
        pad_h: window(h, kh, stride[0], dilation[0], options.padding),
        pad_w: window(width, kw, stride[1], dilation[1], options.padding),
        groups: c / depth.max(1),
        clamp: clamp(options.activation)?,
    };
    one(low.node(OpCode::Conv2d, params, &operands(x, w, bias))?)
}

fn depthwise_conv_2d(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<DepthwiseConv2d>()?;
    let (x, bias) = (low.x(operator, 0)?, low.optional(operator, 2)?);
    let [_, h, width, _] = four(low, x, "the input")?;
    let w = low.x(operator, 1)?;
    let [first, kh, kw, outputs] = four(low, w, "the weights")?;
    if first != 1 {
        return Err(misfit("the weights", format!("{first} as first extent"), "1"));
    }
    let dims = [kh, kw, outputs];
    let w = match low.reshaped_constant(operator, 1, &dims, 2)? {
        Some(w) => w,
        None => low.reshape(w, &dims)?,
    };
    let stride = [positive("the stride", options.stride_h)?, positive("the stride", options.stride_w)?];
    let dilation =
        [positive("the dilation", options.dilation_h)?, positive("the dilation", options.dilation_w)?];
    let params = DepthwiseConv2dParams {
        stride,
        dilation,
        pad_h: window(h, kh, stride[0], dilation[0], options.padding),
        pad_w: window(width, kw, stride[1], dilation[1], options.padding),
        clamp: clamp(options.activation)?,
    };
    one(low.node(OpCode::DepthwiseConv2d, params, &operands(x, w, bias))?)
}

fn transpose_conv(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<TransposeConv>()?;
    let shape = low.integers(operator, 0)?.extents()?;
    let (w, x, bias) = (low.x(operator, 1)?, low.x(operator, 2)?, low.optional(operator, 3)?);
    let &[_, oh, ow, _] = shape.as_slice() else {
        return Err(misfit("the output's shape", format!("{shape:?}"), "four extents"));
    };
    let [_, kh, kw, _] = four(low, w, "the weights")?;
    let stride = [positive("the stride", options.stride_h)?, positive("the stride", options.stride_w)?];
    // The pads of the convolution that this is the gradient of.
    let [crop_h, _] = window(oh, kh, stride[0], 1, options.padding);
    let [crop_w, _] = window(ow, kw, stride[1], 1, options.padding);
    let params = TransposeConv2dParams {
        stride,
        dilation: [1, 1],
        crop: [crop_h, crop_w],
        output: [oh, ow],
        clamp: clamp(options.activation)?,
    };
    one(low.node(OpCode::TransposeConv2d, params, &operands(x, w, bias))?)
}

fn fully_connected(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<FullyConnected>()?;
    if options.weights_format != 0 {
        return Err(Fault::Unsupported {
            what: "weights that are shuffled for a kernel".into(),
            remedy: "convert the model again without shuffled weights".into(),
        });
    }
    let (x, w, bias) = (low.x(operator, 0)?, low.x(operator, 1)?, low.optional(operator, 2)?);
    let depth = match low.graph.dims(w) {
        [_, depth] => *depth,
        other => return Err(misfit("the weights", format!("shape {other:?}"), "two axes")),
    };
    let dims = low.dims(x);
    let x = if dims.len() > 1 && dims.last() == Some(&depth) && (options.keep_num_dims || dims.len() == 2) {
        x
    } else {
        let len = low.graph.tensor(x).shape().len().unwrap_or(0);
        if depth == 0 || !len.is_multiple_of(depth) {
            return Err(misfit("the input", format!("shape {dims:?}"), format!("rows of {depth}")));
        }
        low.reshape(x, &[len / depth, depth])?
    };
    let params = FullyConnectedParams { clamp: clamp(options.activation)? };
    one(low.node(OpCode::FullyConnected, params, &operands(x, w, bias))?)
}

fn batch_matmul(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<BatchMatmul>()?;
    let (mut a, mut b) = (low.x(operator, 0)?, low.x(operator, 1)?);
    let (dims_a, dims_b) = (low.dims(a), low.dims(b));
    let rank = dims_a.len().max(dims_b.len());
    if dims_a.len().min(dims_b.len()) < 2 {
        return Err(misfit("the operands", format!("{dims_a:?} and {dims_b:?}"), "matrices"));
    }
    let lifted = |dims: &[u32]| [vec![1; rank - dims.len()], dims.to_vec()].concat();
    let (mut dims_a, mut dims_b) = (lifted(&dims_a), lifted(&dims_b));
    (a, b) = (low.reshape(a, &dims_a)?, low.reshape(b, &dims_b)?);
    for axis in 0..rank - 2 {
        let extent = dims_a[axis].max(dims_b[axis]);
        (dims_a[axis], dims_b[axis]) = (extent, extent);
    }
    (a, b) = (low.broadcast(a, &dims_a)?, low.broadcast(b, &dims_b)?);
    if options.adj_x {
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 2, rank - 1);
        a = low.transpose(a, &order)?;
    }
    let params = BatchMatmulParams { transpose_b: options.adj_y.into() };
    one(low.node(OpCode::BatchMatmul, params, &[a, b])?)
}
