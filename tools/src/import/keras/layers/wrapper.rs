//! Layers around another layer.

use super::Lower;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::Lowering;
use crate::import::keras::network::Layer;

pub(super) const LAYERS: &[(&str, Lower)] =
    &[("TimeDistributed", Lower::Masked(|low, layer, x, _| time_distributed(low, layer, x)))];

/// The same layer at every time step: `[N, T, …]` as `N · T` rows.
fn time_distributed(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let wrong = |found: String, expected: &str| Fault::Unexpected {
        place: "the layer".into(),
        found,
        expected: expected.into(),
    };
    let dims = low.dims(x);
    let [batch, steps, row @ ..] = dims.as_slice() else {
        return Err(wrong(format!("a tensor of shape {dims:?}"), "batch, time steps and more axes"));
    };
    let inner = match layer.inner.layers() {
        [inner] => inner,
        others => return Err(wrong(format!("{} wrapped layers", others.len()), "one")),
    };
    let merged: Vec<u32> = std::iter::once(batch * steps).chain(row.iter().copied()).collect();
    let x = low.reshape(x, &merged)?;
    let y = match low.apply(inner, &[x])?.as_slice() {
        [y] => *y,
        others => return Err(wrong(format!("{} results of the wrapped layer", others.len()), "one")),
    };
    let split: Vec<u32> = [*batch, *steps].into_iter().chain(low.dims(y).into_iter().skip(1)).collect();
    low.reshape(y, &split)
}
