//! Resizing by bilinear interpolation: x `[N, H, W, C]` → y `[N, OH, OW, C]`.
//!
//! Output row `i` lies at input row `(i + ½) · H / OH − ½`, clamped to
//! the input; columns likewise. This is what TensorFlow and Keras do by default.

use super::resize_nearest_neighbor::resized;
use super::{no_macs, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `resize_bilinear`: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct ResizeBilinearParams {
    /// Size of the output: height, width.
    pub size: [u32; 2],
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<ResizeBilinearParams>() as u32, output, macs: no_macs };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let [oh, ow] = read::<ResizeBilinearParams>(params)?.size;
    resized(inputs, oh, ow)
}
