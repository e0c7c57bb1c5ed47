//! Slices and concatenations that cost nothing, and graphs that no memory holds.

use super::*;
use flatpack_format::Shape;
use flatpack_format::ops::concatenate::ConcatenateParams;
use flatpack_format::ops::conv_2d::Conv2dParams;
use flatpack_format::ops::strided_slice::StridedSliceParams;

#[test]
fn the_largest_tensors_have_no_plan() {
    let mut graph = Graph::default();
    let x = graph.add_input("x", Shape::new(&[u32::MAX / 4]).unwrap());
    let y = graph.add_node("y", OpCode::Abs, (), &[x]).unwrap();
    graph.outputs.push(y);
    assert!(matches!(plan(&graph), Err(MemoryError::Plan(PlanError::TooLarge { .. }))));
}

fn planned(make: impl FnOnce(&mut Graph, TensorId) -> TensorId, dims: &[u32]) -> (Graph, MemoryPlan) {
    let mut graph = Graph::default();
    let x = graph.add_input("x", Shape::new(dims).unwrap());
    let y = make(&mut graph, x);
    graph.outputs.push(y);
    let plan = plan(&graph).unwrap();
    (graph, plan)
}

fn concatenated(dims: &[u32], axis: u32) -> (Graph, MemoryPlan) {
    planned(
        |graph, x| {
            let a = graph.add_node("a", OpCode::Exp, (), &[x]).unwrap();
            let b = graph.add_node("b", OpCode::Neg, (), &[x]).unwrap();
            graph.add_node("y", OpCode::Concatenate, ConcatenateParams { axis }, &[a, b]).unwrap()
        },
        dims,
    )
}

#[test]
fn what_is_computed_in_its_place_is_not_concatenated() {
    let (graph, plan) = concatenated(&[1, 32], 1);
    let offset = |node: usize| plan.offsets[&graph.nodes[node].output];
    assert_eq!((plan.steps.len(), plan.free_pieces), (2, 1));
    assert_eq!((offset(0), offset(1)), (offset(2), offset(2) + 128));
    // The input of both lies where the second is to be, which is written over it.
    assert_eq!((plan.offsets[&graph.inputs[0]], plan.in_place, plan.arena_bytes), (offset(1), 1, 256));
}

#[test]
fn what_does_not_follow_each_other_in_memory_is_concatenated() {
    let (_, plan) = concatenated(&[2, 32], 1);
    assert_eq!((plan.steps.len(), plan.free_pieces), (3, 0));
}

#[test]
fn what_would_not_be_aligned_is_concatenated() {
    let (_, plan) = concatenated(&[1, 33], 1);
    assert_eq!((plan.steps.len(), plan.free_pieces), (3, 0));
}

#[test]
fn what_is_there_twice_is_concatenated() {
    let twice = |graph: &mut Graph, x| {
        let a = graph.add_node("a", OpCode::Exp, (), &[x]).unwrap();
        graph.add_node("y", OpCode::Concatenate, ConcatenateParams { axis: 1 }, &[a, a]).unwrap()
    };
    let (_, plan) = planned(twice, &[1, 32]);
    assert_eq!((plan.steps.len(), plan.free_pieces), (2, 0));
}

fn sliced(begin: u32, stride: i32) -> (Graph, MemoryPlan) {
    let slice = |graph: &mut Graph, x| {
        let a = graph.add_node("a", OpCode::Exp, (), &[x]).unwrap();
        let mut params = StridedSliceParams { begin: [0; 6], stride: [1; 6], size: [1; 6] };
        (params.begin[1], params.stride[1], params.size[1], params.size[2]) = (begin, stride, 4, 6);
        let part = graph.add_node("part", OpCode::StridedSlice, params, &[a]).unwrap();
        graph.add_node("y", OpCode::Neg, (), &[part]).unwrap()
    };
    planned(slice, &[1, 16, 6])
}

#[test]
fn a_slice_of_whole_rows_lies_in_what_it_is_taken_from() {
    let (graph, plan) = sliced(8, 1);
    let offset = |node: usize| plan.offsets[&graph.nodes[node].output];
    assert_eq!((plan.steps.len(), plan.free_pieces), (2, 1));
    assert_eq!(offset(1), offset(0) + 8 * 24);
    // The steps write over their inputs, the last one over a part of the memory.
    assert_eq!((offset(2), plan.in_place, plan.arena_bytes), (offset(1), 2, 16 * 24));
}

#[test]
fn a_slice_that_is_not_aligned_or_has_gaps_is_copied() {
    for (begin, stride) in [(5, 1), (8, 2), (8, -1)] {
        let (_, plan) = sliced(begin, stride);
        assert_eq!((plan.steps.len(), plan.free_pieces), (3, 0), "{begin} {stride}");
    }
}

#[test]
fn a_slice_is_not_written_over_while_others_read_it() {
    let two = |graph: &mut Graph, x| {
        let a = graph.add_node("a", OpCode::Exp, (), &[x]).unwrap();
        let mut params = StridedSliceParams { begin: [0; 6], stride: [1; 6], size: [1; 6] };
        (params.begin[1], params.size[1]) = (16, 16);
        let part = graph.add_node("part", OpCode::StridedSlice, params, &[a]).unwrap();
        let negative = graph.add_node("negative", OpCode::Neg, (), &[part]).unwrap();
        let inputs = [a, negative];
        graph.add_node("y", OpCode::Concatenate, ConcatenateParams { axis: 1 }, &inputs).unwrap()
    };
    let (graph, plan) = planned(two, &[1, 32]);
    let range = |id: TensorId| plan.offsets[&id]..plan.offsets[&id] + graph.bytes(id);
    let [a, negative] = [0, 2].map(|node: usize| range(graph.nodes[node].output));
    assert!(a.end <= negative.start || negative.end <= a.start, "{a:?} {negative:?}");
}

#[test]
fn tensors_of_a_chain_have_one_of_two_middles_on_gateways() {
    let mut graph = Graph::default();
    let mut chain = vec![graph.add_input("x", Shape::new(&[1, 4, 4, 32]).unwrap())];
    for channels in [32, 16, 32, 8, 16] {
        let x = chain[chain.len() - 1];
        let depth = graph.dims(x)[3];
        let w = graph.add_constant("w", &[channels, 1, 1, depth], vec![0.0; (channels * depth) as usize]);
        chain.push(graph.add_node("y", OpCode::Conv2d, Conv2dParams::POINTS, &[x, w]).unwrap());
    }
    graph.outputs.push(chain[chain.len() - 1]);
    let plan = plan_in(&graph, &[], Target::Linux).unwrap();
    assert_eq!(plan.arena_bytes, plan.lower_bound_bytes);
    let middle = |id: &TensorId| plan.offsets[id] + graph.bytes(*id) / 2;
    for pair in chain.windows(3) {
        assert_eq!(middle(&pair[0]), middle(&pair[2]), "{:?}", plan.offsets);
    }
}
