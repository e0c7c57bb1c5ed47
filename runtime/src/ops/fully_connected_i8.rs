//! Fully connected layer of 8-bit integers: `y[n, o] = requantize(bias[o] + Σᵢ (x[n, i] − zx) · (w[o, i] −
//! zw))`, where `bias` in the file has `−zx · Σᵢ (w − zw)` in it. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape            | layouts |
//! |---------|-------|------------------|---------|
//! | x       | i8    | `[…, I]`           | rows    |
//! | w       | i8    | `[O, I]`           | rows    |
//! | bias    | i32   | `[O]`              | rows    |
//! | requant | i32   | `[O, 2]` or `[1, 2]` | rows; constant multipliers |
//! | y       | i8    | `[…, O]`           | rows    |
//!
//! `check` proves the shapes, I ≥ 1, that multipliers and zero points are in their domains, and that
//! y shares no memory with an input.

use crate::arch::{Active, Arch};
use crate::gemm;
use crate::gemm_i8::WeightsI8;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::ops::fully_connected_i8::{FullyConnectedI8Params, RULE};
use flatpack_format::{Misfit, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel { op: OpCode::FullyConnectedI8, check, run: run::<Active> };

fn check(node: &Node<'_>) -> Result<(), Misfit> {
    node.check(&RULE, false, 0)?;
    node.check_requant(3)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &FullyConnectedI8Params = node.params()?;
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let [outputs, depth] = node.input_dims(1)?;
    let weights = WeightsI8 {
        w: reads.get(node.input(1)?)?,
        bias: reads.get(node.input(2)?)?,
        requant: reads.get(node.input(3)?)?,
        depth,
        x_zero_point: params.x_zero_point,
        w_zero_point: params.w_zero_point,
        folded: true,
        y: params.y,
    };
    gemm::rows::<A, _>(&weights, depth, reads.get(node.input(0)?)?, outputs, y)
}
