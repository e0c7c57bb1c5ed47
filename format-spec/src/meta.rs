//! Names and metadata: text for people, strippable.

use crate::tensor::numbered;
use bytemuck::{Pod, Zeroable};

/// A text in the strings section: 8 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct StringRef {
    /// First byte, from the start of the strings section.
    pub offset: u32,
    /// Length.
    pub bytes: u32,
}

numbered! {
    /// What a name belongs to.
    NameKind: u32 {
        /// A tensor.
        Tensor = 0, "tensor";
        /// A step.
        Step = 1, "step";
    }
}

/// The name of a tensor or step: 16 bytes. Sorted by kind, then index.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct NameRecord {
    /// A [`NameKind`].
    pub kind: u32,
    /// Number of the tensor or step.
    pub index: u32,
    /// The name.
    pub name: StringRef,
}

/// One metadata entry: 16 bytes. Sorted by key; keys are unique.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct MetaRecord {
    /// A key such as `source.file`.
    pub key: StringRef,
    /// Its value.
    pub value: StringRef,
}
