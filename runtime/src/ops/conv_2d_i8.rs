//! 2-D convolution of 8-bit integers: `y[n, oh, ow, o] = requantize(bias[o] + Σ (x[n, oh · sh + kh · dh −
//! pad, …, c] − zx) · (w[o, kh, kw, c] − zw))` over the taps that lie inside the input, where `bias`
//! in the file has `−zx · Σ (w − zw)` over all taps in it. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape                | layouts |
//! |---------|-------|----------------------|---------|
//! | x       | i8    | `[N, H, W, C]`         | rows    |
//! | w       | i8    | `[O, KH, KW, C / G]`   | rows    |
//! | bias    | i32   | `[O]`                  | rows    |
//! | requant | i32   | `[O, 2]` or `[1, 2]`     | rows; constant multipliers |
//! | y       | i8    | `[N, OH, OW, O]`       | rows    |
//!
//! `check` proves the shapes, that strides and dilations are at least 1, that positions fit `i32`,
//! that multipliers and zero points are in their domains, and that y shares no memory with an input.

use crate::arch::{Active, Arch};
use crate::conv;
use crate::gemm_i8::WeightsI8;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::window::Window;
use flatpack_format::ops::conv_2d_i8::{Conv2dI8Params, RULE};
use flatpack_format::{Misfit, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel { op: OpCode::Conv2dI8, check, run: run::<Active> };

fn check(node: &Node<'_>) -> Result<(), Misfit> {
    node.check(&RULE, false, 0)?;
    node.check_requant(3)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &Conv2dI8Params = node.params()?;
    let [_, h, width, _] = node.input_dims(0)?;
    let [_, kh, kw, depth] = node.input_dims(1)?;
    let ([sh, sw], [dh, dw]) = (params.stride, params.dilation);
    let windows = [
        Window::new(1, 1, 1, 1, [0, 0]),
        Window::new(h, kh, sh, dh, params.pad_h),
        Window::new(width, kw, sw, dw, params.pad_w),
    ];
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let weights = WeightsI8 {
        w: reads.get(node.input(1)?)?,
        bias: reads.get(node.input(2)?)?,
        requant: reads.get(node.input(3)?)?,
        depth: kh * kw * depth,
        x_zero_point: params.x_zero_point,
        w_zero_point: params.w_zero_point,
        folded: true,
        y: params.y,
    };
    conv::run::<A, _, _>(node, windows, params.groups, weights, reads.get(node.input(0)?)?, y)
}
