//! Weights in fewer bytes than float32 takes; what is computed with them stays float32.

/// How weights are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightFormat {
    /// As binary32.
    #[default]
    Float32,
    /// As 8-bit integers, with a scale for each output.
    Int8,
    /// As binary16.
    Float16,
}
