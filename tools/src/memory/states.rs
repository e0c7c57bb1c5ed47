//! States: where they lie, one after the other, and that each is read before it changes.

use super::MemoryError;
use super::blocks::origin;
use crate::graph::{Graph, Node, TensorId};
use crate::ops;
use flatpack_format::ALIGN;
use std::collections::HashMap;

/// Offset of each state, and bytes of all.
pub(super) fn state_offsets(graph: &Graph) -> Result<(Vec<u32>, u32), MemoryError> {
    let (mut offsets, mut end) = (Vec::new(), 0u32);
    for state in &graph.states {
        offsets.push(end);
        let next = end.checked_add(graph.bytes(state.value));
        end = next.and_then(|end| end.checked_next_multiple_of(ALIGN)).ok_or(MemoryError::StatesTooLarge)?;
    }
    Ok((offsets, end))
}

/// Proves that the order of the steps keeps what a state held until it has been read: follows what the
/// memory of each state holds.
pub(super) fn check_states(
    graph: &Graph,
    steps: &[&Node],
    in_state: &HashMap<TensorId, usize>,
) -> Result<(), MemoryError> {
    let mut changed = vec![false; graph.states.len()];
    let next_of = |id: TensorId| graph.states.iter().position(|state| state.next == Some(id));
    for step in steps {
        for input in &step.inputs {
            let Some(&at) = in_state.get(input) else { continue };
            let holds_next = next_of(origin(graph, *input)).is_some();
            if changed[at] != holds_next {
                let state = graph.tensor(graph.states[at].value).name.clone();
                return Err(MemoryError::StateChanged { layer: step.layer.clone(), state });
            }
        }
        let updated = ops::updated(step).iter().chain([&step.output]);
        updated.filter_map(|id| in_state.get(id)).for_each(|&at| changed[at] = true);
    }
    Ok(())
}
