//! Models saved by Keras 1.2 to 3.x.
//!
//! Reading goes in three steps: a container gives the architecture as JSON and the weights as arrays
//! ([`open`], [`Saved`]); the JSON of every dialect becomes one [`Network`] spelled the way Keras 3
//! spells it; each layer gets its own arrays ([`Saved::network`]).
//! [`lower()`] makes a graph of operators of it.
//!
//! Nothing is executed: the code inside a `Lambda` layer stays the text it is.

mod archive;
mod arguments;
mod assign;
mod code;
mod dialect;
mod graph;
mod h5;
mod json;
mod layer_config;
mod layers;
mod lower;
mod map;
mod network;
mod operations;
mod order;
mod pickle;
mod saved;
mod saved_model;
mod snake_case;
mod stored;
mod survey;
mod variables;
mod version;
mod weight_counts;
mod yaml;

pub use dialect::HARD_SIGMOID_KERAS2;
pub use layers::supported;
pub(super) use lower::{Argument, Lowering};
pub use lower::{Options, lower};
pub use map::{LayerMap, Masks};
pub use network::{Arg, Call, Config, Inner, Input, Layer, LayerId, Network, TensorRef, Weight};
pub(super) use pickle::names as names_in_pickle;
pub use saved::{Container, Dropped, Keys, Saved, Weights, open};
pub(super) use saved::{Opened, open_bytes, read};
pub use version::{Dialect, Version};
