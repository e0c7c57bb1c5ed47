//! Bins of integers by a hash of their decimal digits: y `[…]` of x `[…]`.

use super::{PLAIN, read, unary};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `hash`: 24 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct HashParams {
    /// How many bins there are; from 1 to [`MAX_BINS`].
    pub bins: u32,
    /// 1 for SipHash-2-4 with `key`; 0 for FarmHash's Fingerprint64, which takes none.
    pub keyed: u32,
    /// Two words of 64 bits, of each the low half first.
    pub key: [u32; 4],
}

/// The most bins: each of their numbers is a float32.
pub const MAX_BINS: u32 = 1 << 24;

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<HashParams>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let params = read::<HashParams>(params)?;
    if !(1..=MAX_BINS).contains(&params.bins) || params.keyed > 1 {
        return Err(Misfit::Params);
    }
    unary::output(&[], inputs)
}
