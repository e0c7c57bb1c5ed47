//! Options of the operators that are read: each a table of the published schema, of which the fields
//! that decide what is computed are kept.

use super::flatbuffer::{Table, damaged};
use crate::import::Fault;

/// How far a window may reach over the edges of its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// As far as needed for as many positions as the input has, divided by the stride.
    #[default]
    Same,
    /// Not at all.
    Valid,
}

/// What is applied to each element of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, −1), 1)`.
    ReluN1To1,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `tanh(x)`.
    Tanh,
    /// The sign bit.
    SignBit,
}

/// A field of a table of options.
trait Field: Sized {
    /// The field, or the default where it is absent.
    fn read(table: &Table<'_, '_>, slot: usize, default: Self) -> Result<Self, Fault>;
}

macro_rules! scalar_fields {
    ($($scalar:ty)*) => {
        $(impl Field for $scalar {
            fn read(table: &Table<'_, '_>, slot: usize, default: Self) -> Result<Self, Fault> {
                table.scalar(slot, default)
            }
        })*
    };
}

scalar_fields!(bool i8 i32 f32);

impl Field for Vec<i32> {
    fn read(table: &Table<'_, '_>, slot: usize, default: Self) -> Result<Self, Fault> {
        Ok(table.vector(slot)?.unwrap_or(default))
    }
}

impl Field for String {
    fn read(table: &Table<'_, '_>, slot: usize, _: Self) -> Result<Self, Fault> {
        table.string(slot)
    }
}

impl Field for Padding {
    fn read(table: &Table<'_, '_>, slot: usize, _: Self) -> Result<Self, Fault> {
        match table.scalar(slot, 0i8)? {
            0 => Ok(Self::Same),
            1 => Ok(Self::Valid),
            other => Err(damaged(format!("padding number {other}"))),
        }
    }
}

impl Field for Activation {
    fn read(table: &Table<'_, '_>, slot: usize, _: Self) -> Result<Self, Fault> {
        Ok(match table.scalar(slot, 0i8)? {
            0 => Self::None,
            1 => Self::Relu,
            2 => Self::ReluN1To1,
            3 => Self::Relu6,
            4 => Self::Tanh,
            5 => Self::SignBit,
            other => return Err(damaged(format!("activation function number {other}"))),
        })
    }
}

/// Options that an operator can have.
pub trait OptionsTable: Clone + Default {
    /// These options, if that is what they are.
    fn of(options: &Options) -> Option<&Self>;
}

/// Defines the tables: the numbers that the union of options gives them, and of each field its slot
/// and default.
macro_rules! options {
    ($(
        $(#[$doc:meta])*
        $name:ident = $($number:literal)|+ {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $slot:literal, $default:expr;)*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($field: $default,)* }
                }
            }

            impl OptionsTable for $name {
                fn of(options: &Options) -> Option<&Self> {
                    match options {
                        Options::$name(options) => Some(options),
                        _ => None,
                    }
                }
            }
        )*

        /// The options of an operator.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Options {
            /// None: every option has its default.
            Absent,
            /// A table of which nothing is read, by its number in the union.
            Unread(u8),
            $(#[doc = concat!("[`", stringify!($name), "`]")] $name($name),)*
        }

        impl Options {
            /// Reads the table that has this number in the union.
            pub(super) fn read(number: u8, table: Option<Table<'_, '_>>) -> Result<Self, Fault> {
                let Some(table) = table else {
                    return Ok(Self::Absent);
                };
                Ok(match number {
                    0 => Self::Absent,
                    $($($number)|+ => Self::$name($name {
                        $($field: Field::read(&table, $slot, $default)?,)*
                    }),)*
                    other => Self::Unread(other),
                })
            }
        }
    };
}

options! {
    /// Of `CONV_2D`.
    Conv2d = 1 {
        /// Padding.
        padding: Padding = 0, Padding::Same;
        /// Columns from one position to the next.
        stride_w: i32 = 1, 0;
        /// Rows from one position to the next.
        stride_h: i32 = 2, 0;
        /// Of the output.
        activation: Activation = 3, Activation::None;
        /// Columns from one tap to the next.
        dilation_w: i32 = 4, 1;
        /// Rows from one tap to the next.
        dilation_h: i32 = 5, 1;
    }
    /// Of `DEPTHWISE_CONV_2D`.
    DepthwiseConv2d = 2 {
        /// Padding.
        padding: Padding = 0, Padding::Same;
        /// Columns from one position to the next.
        stride_w: i32 = 1, 0;
        /// Rows from one position to the next.
        stride_h: i32 = 2, 0;
        /// Of the output.
        activation: Activation = 4, Activation::None;
        /// Columns from one tap to the next.
        dilation_w: i32 = 5, 1;
        /// Rows from one tap to the next.
        dilation_h: i32 = 6, 1;
    }
    /// Of `AVERAGE_POOL_2D` and `MAX_POOL_2D`.
    Pool2d = 5 {
        /// Padding.
        padding: Padding = 0, Padding::Same;
        /// Columns from one position to the next.
        stride_w: i32 = 1, 0;
        /// Rows from one position to the next.
        stride_h: i32 = 2, 0;
        /// Columns of the window.
        filter_w: i32 = 3, 0;
        /// Rows of the window.
        filter_h: i32 = 4, 0;
        /// Of the output.
        activation: Activation = 5, Activation::None;
    }
    /// Of `SVDF`.
    Svdf = 6 {
        /// Filters that make one output.
        rank: i32 = 0, 0;
        /// Of the output.
        activation: Activation = 1, Activation::None;
        /// Whether inputs with weights in integers are quantised with a zero point.
        asymmetric_quantize_inputs: bool = 2, false;
    }
    /// Of `FULLY_CONNECTED`.
    FullyConnected = 8 {
        /// Of the output.
        activation: Activation = 0, Activation::None;
        /// Whether the weights are shuffled: 0 if not.
        weights_format: i8 = 1, 0;
        /// Whether the output has the input's axes but the last, rather than one for all of them.
        keep_num_dims: bool = 2, false;
    }
    /// Of `SOFTMAX`.
    Softmax = 9 {
        /// What the input is multiplied with.
        beta: f32 = 0, 0.0;
    }
    /// Of `CONCATENATION`.
    Concatenation = 10 {
        /// The axis, from the end if negative.
        axis: i32 = 0, 0;
        /// Of the output.
        activation: Activation = 1, Activation::None;
    }
    /// Of `ADD`, `SUB`, `MUL`, `DIV` and `L2_NORMALIZATION`.
    Fused = 11 | 12 | 21 | 28 | 29 {
        /// Of the output.
        activation: Activation = 0, Activation::None;
    }
    /// Of `RESIZE_BILINEAR`.
    ResizeBilinear = 15 {
        /// Whether the centres of corner pixels stay corners.
        align_corners: bool = 2, false;
        /// Whether pixels are at the centres of their cells.
        half_pixel_centers: bool = 3, false;
    }
    /// Of `RESHAPE`.
    Reshape = 17 {
        /// The shape, where no input says it.
        new_shape: Vec<i32> = 0, Vec::new();
    }
    /// Of `DEPTH_TO_SPACE` and `SPACE_TO_DEPTH`.
    Blocks = 19 | 94 {
        /// Rows and columns of a block.
        block_size: i32 = 0, 0;
    }
    /// Of `GATHER`.
    Gather = 23 {
        /// The axis, from the end if negative.
        axis: i32 = 0, 0;
        /// Axes that indices and values share.
        batch_dims: i32 = 1, 0;
    }
    /// Of `MEAN`, `SUM` and the like.
    Reducer = 27 {
        /// Whether the axes stay, with length 1.
        keep_dims: bool = 0, false;
    }
    /// Of `SQUEEZE`.
    Squeeze = 30 {
        /// The axes; none for all of length 1.
        squeeze_dims: Vec<i32> = 0, Vec::new();
    }
    /// Of `STRIDED_SLICE`: a bit for each axis.
    StridedSlice = 32 {
        /// Begin at the first element.
        begin_mask: i32 = 0, 0;
        /// End at the last one.
        end_mask: i32 = 1, 0;
        /// All axes that are left over.
        ellipsis_mask: i32 = 2, 0;
        /// A new axis.
        new_axis_mask: i32 = 3, 0;
        /// Take one element and drop the axis.
        shrink_axis_mask: i32 = 4, 0;
        /// Whether ends are counted from the beginnings.
        offset: bool = 5, false;
    }
    /// Of `SPLIT`.
    Split = 35 {
        /// Parts.
        num_splits: i32 = 0, 0;
    }
    /// Of `TRANSPOSE_CONV`.
    TransposeConv = 49 {
        /// Padding.
        padding: Padding = 0, Padding::Same;
        /// Columns from one position to the next.
        stride_w: i32 = 1, 0;
        /// Rows from one position to the next.
        stride_h: i32 = 2, 0;
        /// Of the output.
        activation: Activation = 3, Activation::None;
    }
    /// Of `PACK`.
    Pack = 59 {
        /// The new axis, from the end if negative.
        axis: i32 = 1, 0;
    }
    /// Of `UNPACK`.
    Unpack = 64 {
        /// Parts.
        num: i32 = 0, 0;
        /// The axis, from the end if negative.
        axis: i32 = 1, 0;
    }
    /// Of `UNIDIRECTIONAL_SEQUENCE_LSTM`.
    UnidirectionalSequenceLstm = 71 {
        /// Of cells.
        activation: Activation = 0, Activation::None;
        /// Bound on cells; 0 for none.
        cell_clip: f32 = 1, 0.0;
        /// Bound on projections; 0 for none.
        proj_clip: f32 = 2, 0.0;
        /// Whether the first axis is time and the second the batch.
        time_major: bool = 3, false;
        /// Whether inputs with weights in integers are quantised with a zero point.
        asymmetric_quantize_inputs: bool = 4, false;
        /// Whether the recurrent weights are diagonals.
        diagonal_recurrent_tensors: bool = 5, false;
    }
    /// Of `RESIZE_NEAREST_NEIGHBOR`.
    ResizeNearestNeighbor = 74 {
        /// Whether the centres of corner pixels stay corners.
        align_corners: bool = 0, false;
        /// Whether pixels are at the centres of their cells.
        half_pixel_centers: bool = 1, false;
    }
    /// Of `LEAKY_RELU`.
    LeakyRelu = 75 {
        /// The slope of negative inputs.
        alpha: f32 = 0, 0.0;
    }
    /// Of `MIRROR_PAD`.
    MirrorPad = 77 {
        /// Whether the edge is mirrored too.
        is_symmetric: bool = 0, false;
    }
    /// Of `BATCH_MATMUL`.
    BatchMatmul = 101 {
        /// Whether the first matrices are transposed.
        adj_x: bool = 0, false;
        /// Whether the second matrices are transposed.
        adj_y: bool = 1, false;
    }
    /// Of `CALL_ONCE`.
    CallOnce = 103 {
        /// The subgraph to run before the first run.
        init_subgraph: i32 = 0, 0;
    }
    /// Of `VAR_HANDLE`.
    VarHandle = 111 {
        /// The container that the variable is in.
        container: String = 0, String::new();
        /// The variable.
        shared_name: String = 1, String::new();
    }
    /// Of `GELU`.
    Gelu = 116 {
        /// Whether by tanh.
        approximate: bool = 0, false;
    }
}
