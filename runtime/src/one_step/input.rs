//! Inputs of a step: made of values, of bits that look random, and as bytes of a file.

use flatpack_format::{DType, Layout, PANEL, Shape, TensorType};
use std::vec;
use std::vec::Vec;

/// An input of the step.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) dims: Vec<u32>,
    pub(crate) values: Vec<f32>,
    /// The elements where they are integers that a float may not hold.
    pub(super) words: Vec<i32>,
    pub(super) dtype: DType,
    pub(super) layout: Layout,
}

/// A float32 input with these values.
pub(crate) fn input(dims: &[u32], values: &[f32]) -> Input {
    assert_eq!(dims.iter().product::<u32>() as usize, values.len());
    let words = vec![];
    Input { dims: dims.to_vec(), values: values.to_vec(), words, dtype: DType::F32, layout: Layout::Rows }
}

/// Bits that look random and repeat, from a seed.
pub(crate) fn bits(seed: u32) -> impl Iterator<Item = u32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    })
}

/// Values that look random and repeat: between −1 and 1, from a seed.
pub(crate) fn noise(dims: &[u32], seed: u32) -> Input {
    let len: u32 = dims.iter().product();
    let values = bits(seed).map(|bits| (bits >> 8) as f32 / (1 << 23) as f32 - 1.0);
    input(dims, &values.take(len as usize).collect::<Vec<_>>())
}

/// An input of these integers, in an element type of integers.
pub(crate) fn words(dims: &[u32], words: &[i32], dtype: DType) -> Input {
    assert_eq!(dims.iter().product::<u32>() as usize, words.len());
    let values = words.iter().map(|&v| v as f32).collect();
    Input { dims: dims.to_vec(), values, words: words.to_vec(), dtype, layout: Layout::Rows }
}

/// Integers that look random and repeat: of the whole range of this element type, but words between
/// −2²⁰ and 2²⁰.
pub(crate) fn integers(dims: &[u32], seed: u32, dtype: DType) -> Input {
    let len: u32 = dims.iter().product();
    let shift = if dtype == DType::I32 { 11 } else { 32 - 8 * dtype.bytes() };
    let values = bits(seed).map(|bits| match dtype {
        DType::U8 => (bits >> shift) as i32,
        _ => bits as i32 >> shift,
    });
    words(dims, &values.take(len as usize).collect::<Vec<_>>(), dtype)
}

/// Any signed bytes that look random and repeat.
pub(crate) fn i8s(dims: &[u32], seed: u32) -> Input {
    integers(dims, seed, DType::I8)
}

impl Input {
    /// The same weights `[O, …]` in layout `panel16`.
    pub(crate) fn packed(&self) -> Self {
        let outputs = self.dims[0] as usize;
        let depth = self.values.len() / outputs;
        let panels = outputs.next_multiple_of(PANEL as usize);
        let mut values = vec![0.0; panels * depth];
        for o in 0..outputs {
            for i in 0..depth {
                let panel = PANEL as usize;
                values[(o / panel * depth + i) * panel + o % panel] = self.values[o * depth + i];
            }
        }
        Self { dims: self.dims.clone(), values, words: vec![], layout: Layout::Panel16, ..*self }
    }

    /// The same weights `[O, …]` in layout `pairs`.
    pub(crate) fn in_pairs(&self) -> Self {
        let outputs = self.dims[0] as usize;
        let all = if self.words.is_empty() { self.values.len() } else { self.words.len() };
        let (depth, groups) = (all / outputs, (all / outputs).div_ceil(4));
        let at = |element: usize| {
            let (o, i) = (element / depth, element % depth);
            (o / 2 * groups + i / 4) * 8 + [0, 4, 2, 6][i % 4] + o % 2
        };
        let room = outputs.div_ceil(2) * groups * 8;
        let (mut values, mut words) = (vec![], vec![]);
        if self.words.is_empty() {
            values = vec![0.0; room];
            self.values.iter().enumerate().for_each(|(element, v)| values[at(element)] = *v);
        } else {
            words = vec![0; room];
            self.words.iter().enumerate().for_each(|(element, word)| words[at(element)] = *word);
        }
        Self { dims: self.dims.clone(), values, words, layout: Layout::Pairs, ..*self }
    }

    /// The same weights `[G, S, I]` in layout `gates16`.
    pub(crate) fn in_gates(&self) -> Self {
        let [gates, units, depth] = self.dims[..] else { panic!("{:?} are not weights of gates", self.dims) };
        let panels = units.div_ceil(16);
        let mut values = vec![0.0; (gates * panels * depth * 16) as usize];
        for (g, s, i) in
            (0..gates).flat_map(|g| (0..units).flat_map(move |s| (0..depth).map(move |i| (g, s, i))))
        {
            let to = ((s / 16 * depth + i) * gates + g) * 16 + s % 16;
            values[to as usize] = self.at(&[g, s, i]) as f32;
        }
        Self { dims: self.dims.clone(), values, words: vec![], layout: Layout::Gates16, ..*self }
    }

    /// The same weights `[O, …]`, words, in layout `panel16x4`.
    pub(crate) fn in_panels(&self) -> Self {
        let outputs = self.dims[0] as usize;
        let depth = self.words.len() / outputs;
        let groups = depth.div_ceil(4);
        let mut words = vec![0; outputs.div_ceil(16) * groups * 64];
        for (element, word) in self.words.iter().enumerate() {
            let (o, i) = (element / depth, element % depth);
            words[((o / 16 * groups + i / 4) * 16 + o % 16) * 4 + i % 4] = *word;
        }
        Self { dims: self.dims.clone(), values: vec![], words, layout: Layout::Panel16x4, ..*self }
    }

    pub(crate) fn tensor_type(&self) -> TensorType {
        TensorType { dtype: self.dtype, shape: Shape::new(&self.dims).unwrap() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let values = self.values.iter();
        if !self.words.is_empty() {
            let words = self.words.iter().map(|word| word.to_le_bytes());
            return words.flat_map(|word| word[..self.dtype.bytes() as usize].to_vec()).collect();
        }
        match self.dtype.bytes() {
            1 => values.map(|&v| v as i8 as u8).collect(),
            2 if self.dtype == DType::F16 => values.flat_map(|&v| half_bits(v).to_le_bytes()).collect(),
            2 => values.flat_map(|&v| (v as i16).to_le_bytes()).collect(),
            _ if self.dtype == DType::I32 => values.flat_map(|&v| (v as i32).to_le_bytes()).collect(),
            _ => bytemuck::cast_slice(&self.values).to_vec(),
        }
    }
}

/// The bits of a binary16 that has exactly this value.
fn half_bits(v: f32) -> u16 {
    let sign = (v.to_bits() >> 16 & 0x8000) as u16;
    let magnitude = v.abs();
    let bits = match magnitude < SMALLEST_NORMAL_HALF {
        true => magnitude * 2f32.powi(24),
        false => (magnitude.to_bits() >> 13) as f32 - (112 << 10) as f32,
    };
    sign | bits as u16
}

pub(super) const SMALLEST_NORMAL_HALF: f32 = 1.0 / (1 << 14) as f32;

/// The values in the bytes of a tensor; the reverse of [`Input::bytes`].
pub(super) fn values(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    match dtype.bytes() {
        1 if dtype == DType::U8 => bytes.iter().map(|&v| v.into()).collect(),
        1 => bytes.iter().map(|&v| f32::from(v as i8)).collect(),
        2 if dtype == DType::F16 => {
            bytes.as_chunks().0.iter().map(|&v| crate::math::half(u16::from_le_bytes(v))).collect()
        }
        2 => bytes.as_chunks().0.iter().map(|&v| f32::from(i16::from_le_bytes(v))).collect(),
        _ if dtype == DType::I32 => {
            bytes.as_chunks().0.iter().map(|&v| i32::from_le_bytes(v) as f32).collect()
        }
        _ => bytemuck::cast_slice(bytes).to_vec(),
    }
}

/// Whole numbers that look random and repeat, between −100 or 0 and 100, in this element type.
pub(crate) fn whole(dims: &[u32], seed: u32, dtype: DType) -> Input {
    let of_type = |v: f32| if dtype == DType::U8 { v.abs() } else { v };
    let values = noise(dims, seed).values.iter().map(|v| of_type((v * 100.0).trunc())).collect();
    Input { dims: dims.to_vec(), values, words: vec![], dtype, layout: Layout::Rows }
}

/// An input of this element type with these values.
pub(crate) fn typed(dims: &[u32], values: &[f32], dtype: DType) -> Input {
    Input { dtype, ..input(dims, values) }
}

impl Input {
    /// The element at this position.
    pub(crate) fn at(&self, position: &[u32]) -> f64 {
        self.values[self.index(position)].into()
    }

    /// The integer at this position.
    pub(crate) fn int(&self, position: &[u32]) -> i64 {
        self.words[self.index(position)].into()
    }

    fn index(&self, position: &[u32]) -> usize {
        assert_eq!(position.len(), self.dims.len());
        let index = position.iter().zip(&self.dims).fold(0, |index, (p, dim)| {
            assert!(p < dim);
            index * dim + p
        });
        index as usize
    }
}

/// All positions of a tensor of these dimensions, in the order of its elements.
pub(crate) fn positions<const R: usize>(dims: [u32; R]) -> impl Iterator<Item = [u32; R]> {
    (0..dims.iter().product()).map(move |mut index| {
        let mut position = [0; R];
        for (p, dim) in position.iter_mut().zip(dims).rev() {
            (*p, index) = (index % dim, index / dim);
        }
        position
    })
}

/// As [`positions`], for any number of dimensions.
pub(crate) fn indices(dims: &[u32]) -> impl Iterator<Item = Vec<u32>> {
    (0..dims.iter().product()).map(move |mut position: u32| {
        let mut index = vec![0; dims.len()];
        for (at, dim) in index.iter_mut().zip(dims).rev() {
            *at = position % dim;
            position /= dim;
        }
        index
    })
}
