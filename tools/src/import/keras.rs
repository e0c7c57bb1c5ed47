//! Models saved by Keras 1.2 to 3.x.
//!
//! Reading goes in three steps: a container (`h5`) gives the architecture as JSON and the weights
//! as arrays; `config` turns the JSON of every dialect into one [`Network`] spelled the way
//! Keras 3 spells it; `weights` hands each layer its own arrays.

mod layer_config;
mod network;

pub use network::{Arg, Call, Config, Inner, Input, Layer, LayerId, Network, TensorRef, Weight};
