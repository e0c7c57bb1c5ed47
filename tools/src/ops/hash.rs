//! Bins of integers by a hash of their decimal digits.

use super::{Operator, moment, part};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::hash::HashParams;
use std::hash::Hasher;
use tract_core::internal::*;
use tract_core::ops::element_wise::ElementWiseOp;

/// The operator.
pub const OPERATOR: Operator = Operator {
    part: Some(part::same_rows),
    moment: Some(moment::of_elements),
    ..Operator::new(OpCode::Hash, reference)
};

fn reference(r: &mut Reference, _: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let bins = Bins(node.params());
    r.wire(ElementWiseOp(Box::new(bins), None), inputs)
}

/// The operator, for tract.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bins(HashParams);

impl ElementWiseMiniOp for Bins {
    fn name(&self) -> String {
        "Hash".to_owned()
    }

    fn eval_in_place(&self, t: &mut Tensor, _: Option<DatumType>) -> TractResult<()> {
        let mut t = t.try_as_plain_ram_mut()?;
        t.as_slice_mut::<f32>()?.iter_mut().for_each(|x| *x = self.of(&(*x as i64).to_string()) as f32);
        Ok(())
    }
}

impl Bins {
    fn of(&self, text: &str) -> u64 {
        let HashParams { bins, keyed, key } = self.0;
        let hash = if keyed == 1 { keyed_hash(key, text) } else { farm_hash(text.as_bytes()) };
        hash % u64::from(bins)
    }
}

#[expect(deprecated, reason = "it is SipHash-2-4, which the standard library's other hashes need not stay")]
fn keyed_hash(key: [u32; 4], text: &str) -> u64 {
    let [a, b, c, d] = key.map(u64::from);
    let mut hasher = std::hash::SipHasher::new_with_keys(b << 32 | a, d << 32 | c);
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// `farmhashna::Hash64` of 1 to 32 bytes, in 128 bits and without what they hold beyond 64.
fn farm_hash(text: &[u8]) -> u64 {
    const WORD: u128 = 1 << 64;
    let [k0, k1, k2] = [0xc3a5c85c97cb3127, 0xb492b66fbe98f273, 0x9ae16a3b2f90404f_u128];
    let length = text.len();
    let bytes = |range: std::ops::Range<usize>| {
        text[range].iter().rev().fold(0u128, |all, &b| all * 256 + u128::from(b))
    };
    let shifted = |x: u128| x ^ (x >> 47);
    let turned = |x: u128, by: u32| x / (1 << by) + x * (1 << (64 - by)) % WORD;
    let mixed = |u: u128, v: u128, factor: u128| {
        let a = shifted((u ^ v) * factor % WORD);
        let b = shifted((v ^ a) * factor % WORD);
        b * factor % WORD
    };
    let size = length as u128;
    let factor = (k2 + 2 * size) % WORD;
    let hash = match length {
        1..=3 => {
            let y = bytes(0..1) + 256 * bytes(length / 2..length / 2 + 1);
            let z = size + 4 * bytes(length - 1..length);
            shifted((y * k2 % WORD) ^ (z * k0 % WORD)) * k2 % WORD
        }
        4..=7 => mixed(size + 8 * bytes(0..4), bytes(length - 4..length), factor),
        8..=16 => {
            let (a, b) = ((bytes(0..8) + k2) % WORD, bytes(length - 8..length));
            let c = (turned(b, 37) * factor + a) % WORD;
            let d = (turned(a, 25) + b) % WORD * factor % WORD;
            mixed(c, d, factor)
        }
        _ => {
            let (a, b) = (bytes(0..8) * k1 % WORD, bytes(8..16));
            let (c, d) =
                (bytes(length - 8..length) * factor % WORD, bytes(length - 16..length - 8) * k2 % WORD);
            let u = (turned((a + b) % WORD, 43) + turned(c, 30) + d) % WORD;
            let v = (a + turned((b + k2) % WORD, 18) + c) % WORD;
            mixed(u, v, factor)
        }
    };
    hash as u64
}
