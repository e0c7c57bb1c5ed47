//! Tensors: element types, layouts, places, and their record.

use crate::shape::{MAX_RANK, Shape};
use bytemuck::{Pod, Zeroable};

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident: $int:ty { $($(#[$vmeta:meta])* $variant:ident = $number:literal, $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant = $number,)* }
        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The name as it stands in `SPEC.md`, errors and `flatpack inspect`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
            /// The value with this number, if there is one.
            pub const fn from_number(number: $int) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
pub(crate) use numbered;

numbered! {
    /// Element type of a tensor.
    DType: u8 {
        /// IEEE binary32.
        F32 = 0, "f32";
        /// 8-bit two's complement.
        I8 = 1, "i8";
        /// 32-bit two's complement.
        I32 = 2, "i32";
        /// 8-bit unsigned.
        U8 = 3, "u8";
        /// 16-bit two's complement.
        I16 = 4, "i16";
        /// IEEE binary16.
        F16 = 5, "f16";
        /// One byte, 0 or 1.
        Bool = 6, "bool";
    }
}

impl DType {
    /// Size and natural alignment of one element, in bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::I16 | Self::F16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

numbered! {
    /// How the elements of a tensor lie in memory. Every kernel reads every layout that its
    /// operator allows: a file is never refused for having been packed for another machine.
    Layout: u8 {
        /// Row-major: for weights, those of one output are contiguous.
        Rows = 0, "rows";
        /// Weights of 16 outputs interleaved: `[⌈outputs / 16⌉, depth, 16]`, absent outputs zero.
        Panel16 = 1, "panel16";
        /// Weights of 2 outputs interleaved, in groups of 4 elements: `[⌈outputs / 2⌉, ⌈depth / 4⌉, 8]`; see
        /// [`pairs_at`]. Absent ones are zero.
        Pairs = 2, "pairs";
        /// Weights of 16 outputs interleaved, in groups of 4 elements: `[⌈outputs / 16⌉, ⌈depth / 4⌉, 16, 4]`.
        /// Absent ones are zero.
        Panel16x4 = 3, "panel16x4";
        /// Weights of 16 units of all gates interleaved: `[⌈units / 16⌉, depth, gates, 16]`, absent units zero.
        Gates16 = 4, "gates16";
    }
}

numbered! {
    /// Which memory holds a tensor.
    Place: u8 {
        /// The weights section; `offset` counts from the start of the file.
        Constant = 0, "constant";
        /// Activation memory given by the caller; `offset` counts from its start. Model inputs and
        /// outputs are tensors of an arena that the input and output sections list.
        Arena = 1, "arena";
        /// Memory that survives a run; `offset` counts from its start.
        State = 2, "state";
        /// A second arena, for boards with a second memory; `offset` counts from its start.
        Far = 3, "far";
    }
}

/// Outputs interleaved in [`Layout::Panel16`], [`Layout::Panel16x4`], and [`Layout::Gates16`].
pub const PANEL: u32 = 16;

/// Elements of an output in a group of [`Layout::Panel16x4`].
pub const PANEL_GROUP: u32 = 4;

/// Outputs interleaved in [`Layout::Pairs`].
pub const PAIR: u32 = 2;

/// Elements of an output in a group of [`Layout::Pairs`].
pub const PAIR_GROUP: u32 = 4;

/// Where element `i` of the first output of a pair is, in elements from the pair's first one; that of the
/// second output follows. The order within a group is 0, 2, 1, 3.
pub const fn pairs_at(i: usize) -> usize {
    i / 4 * 8 + i % 2 * 4 + i / 2 % 2 * 2
}

/// Element type and shape of a tensor: what shape rules are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Shape in elements, batch included.
    pub shape: Shape,
}

impl TensorType {
    /// A float32 tensor of this shape.
    pub const fn f32(shape: Shape) -> Self {
        Self { dtype: DType::F32, shape }
    }

    /// Bytes that a tensor of this type takes in `layout`; `None` past 4 GiB, or where the layout
    /// cannot hold the shape.
    pub fn bytes(&self, layout: Layout) -> Option<u32> {
        let len = match layout {
            Layout::Rows => self.shape.len()?,
            Layout::Panel16 => {
                let (_, outputs, depth) = self.shape.around(0)?;
                outputs.checked_next_multiple_of(PANEL)?.checked_mul(depth)?
            }
            Layout::Pairs => {
                let (_, outputs, depth) = self.shape.around(0)?;
                let depth = depth.checked_next_multiple_of(PAIR_GROUP)?;
                outputs.checked_next_multiple_of(PAIR)?.checked_mul(depth)?
            }
            Layout::Panel16x4 => {
                let (_, outputs, depth) = self.shape.around(0)?;
                let depth = depth.checked_next_multiple_of(PANEL_GROUP)?;
                outputs.checked_next_multiple_of(PANEL)?.checked_mul(depth)?
            }
            Layout::Gates16 => {
                let (gates, units, depth) = self.shape.around(1)?;
                units.checked_next_multiple_of(PANEL)?.checked_mul(depth)?.checked_mul(gates)?
            }
        };
        len.checked_mul(self.dtype.bytes())
    }
}

/// One tensor: 40 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct TensorRecord {
    /// A [`DType`].
    pub dtype: u8,
    /// A [`Place`].
    pub place: u8,
    /// A [`Layout`].
    pub layout: u8,
    /// Number of dimensions, at most 6.
    pub rank: u8,
    /// First byte, counted as the place says.
    pub offset: u32,
    /// Size in bytes: what dtype, shape and layout make.
    pub bytes: u32,
    /// 1 + index of the quantisation record; 0 for none.
    pub quant: u32,
    /// Dimensions, outermost first; 0 past `rank`.
    pub dims: [u32; MAX_RANK],
}

impl TensorRecord {
    /// Whether the two share a byte of memory that can be written.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.place == other.place
            && self.place != Place::Constant as u8
            && self.offset < other.offset.saturating_add(other.bytes)
            && other.offset < self.offset.saturating_add(self.bytes)
    }

    /// Whether the two are the same bytes.
    pub(crate) fn same_memory(&self, other: &Self) -> bool {
        (self.place, self.offset, self.bytes) == (other.place, other.offset, other.bytes)
    }
}
