//! Resizing of 8-bit integers by bilinear interpolation, in fixed point: x `[N, H, W, C]` → y `[N, OH,
//! OW, C]`. Both stand for reals alike.

use super::resize_nearest_neighbor::resized;
use super::{PLAIN, inputs_of, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `resize_bilinear_i8`: 24 bytes. Output row `i` lies at input row `(i · step + first) /
/// 2¹⁰`; columns likewise. Pairs are height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct ResizeBilinearI8Params {
    /// Size of the output.
    pub size: [u32; 2],
    /// Input positions between neighbouring outputs, with 10 bits after the point; not negative.
    pub step: [i32; 2],
    /// The input position of the first output, with 10 bits after the point; at least −½.
    pub first: [i32; 2],
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<ResizeBilinearI8Params>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let ResizeBilinearI8Params { size: [oh, ow], step, first } = read(params)?;
    let [&shape] = inputs_of(inputs, [DType::I8])?;
    // Kernels compute positions in i32.
    let fits = |output: u32, step: i32, first: i32| {
        let last = u64::from(output).saturating_mul(step.unsigned_abs().into());
        step >= 0 && first >= -(1 << 9) && last.saturating_add(first.unsigned_abs().into()) < 1 << 30
    };
    if !fits(oh, step[0], first[0]) || !fits(ow, step[1], first[1]) {
        return Err(Misfit::Params);
    }
    resized(TensorType { dtype: DType::I8, shape }, oh, ow)
}
