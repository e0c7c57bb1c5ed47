//! What a step should give: how near is near enough, formulas along axes, and what Keras computed.

use super::{Input, input};
use proptest::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::vec;
use std::vec::Vec;

/// The largest difference between two results; NaN if there is one.
pub(crate) fn difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let differences = got.iter().zip(want).map(|(g, w)| (g - w).abs());
    differences.fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most })
}

/// Values at which functions change their ways.
pub(crate) const EDGES: [f32; 21] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.5,
    -2.5,
    3.0,
    -3.0,
    100.0,
    -100.0,
    1e-40,
    -1e-40,
    f32::MIN_POSITIVE,
    f32::EPSILON,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// Whether `got` is `want` as nearly as an f32 can be, or within `tolerance`. NaNs and infinities
/// meet only themselves, but a number near 2¹²⁸ may have become infinite.
pub(crate) fn meets(got: f32, want: f64, tolerance: f64) -> bool {
    if want.is_nan() || want.is_infinite() {
        return got == want as f32 || (got.is_nan() && want.is_nan());
    }
    let bound = 2f64.powi(128);
    let error = f64::from(got).clamp(-bound, bound) - want.clamp(-bound, bound);
    got == want as f32 || error.abs() <= tolerance
}

/// `count` units in the last place of an f32 near `value`: spacings between neighbours, 2⁻¹⁴⁹ among
/// subnormals. A chain of `n` products and quotients, each rounded correctly, is within `n` of them.
pub(crate) fn ulps(count: f64, value: f64) -> f64 {
    let power_of_two = f64::from_bits(value.to_bits() & f64::INFINITY.to_bits());
    count * (power_of_two * f64::from(f32::EPSILON)).max(f64::from(f32::from_bits(1)))
}

/// `f` of each vector that the axes `axes` of x make, in place of these axes.
pub(crate) fn along(x: &Input, axes: Range<usize>, f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f32> {
    let len = |dims: &[u32]| dims.iter().product::<u32>() as usize;
    let (count, inner) = (len(&x.dims[axes.clone()]), len(&x.dims[axes.end..]));
    let mut y = vec![];
    for block in x.values.chunks(count * inner) {
        let vectors = (0..inner).map(|at| block.iter().skip(at).step_by(inner).map(|&v| v.into()).collect());
        let results: Vec<Vec<f64>> = vectors.map(|vector: Vec<f64>| f(&vector)).collect();
        y.extend((0..results[0].len()).flat_map(|i| results.iter().map(move |result| result[i] as f32)));
    }
    y
}

/// Shapes of several dimensions and one of them, in short and long.
pub(crate) fn shape_and_axis() -> impl Strategy<Value = (Vec<u32>, usize)> {
    let around = || proptest::collection::vec(1u32..5, 0..3);
    let inner = prop_oneof![Just(vec![]), around(), (1u32..80).prop_map(|dim| vec![dim])];
    (around(), prop_oneof![1u32..20, 1u32..600], inner).prop_map(|(outer, len, inner)| {
        let axis = outer.len();
        (outer.into_iter().chain([len]).chain(inner).collect(), axis)
    })
}

/// Input and output of a model of one layer, as Keras computed it; `None`, and a note, where the
/// recordings are not at hand.
pub(crate) fn recorded(case: &str) -> Option<(Input, Input)> {
    let corpus = std::env::var_os("FLATPACK_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")),
        PathBuf::from,
    );
    let folder = corpus.join("layers/keras3").join(case);
    if !folder.is_dir() {
        std::eprintln!("skipped: {} is not there", folder.display());
        return None;
    }
    Some((npy(&folder.join("input_0.npy")), npy(&folder.join("output_0.npy"))))
}

/// A float32 array in NumPy's format 1.0.
fn npy(path: &Path) -> Input {
    let bytes = std::fs::read(path).unwrap();
    let header_end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..header_end]).unwrap();
    assert!(header.contains("'descr': '<f4', 'fortran_order': False"), "{header}");
    let (_, shape) = header.split_once('(').unwrap();
    let (shape, _) = shape.split_once(')').unwrap();
    let dims: Vec<u32> = shape.split(',').filter_map(|dim| dim.trim().parse().ok()).collect();
    let values = bytes[header_end..].as_chunks().0.iter().map(|&v| f32::from_le_bytes(v));
    input(&dims, &values.collect::<Vec<_>>())
}
