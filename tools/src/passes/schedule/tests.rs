use proptest::prelude::*;

use super::*;

/// A problem from the steps' reads and writes.
fn problem(
    buffer_bytes: &[u32],
    inputs: &[usize],
    outputs: &[usize],
    steps: &[(&[usize], &[usize])],
) -> Problem {
    let step = |&(reads, writes): &(&[usize], &[usize])| Step {
        reads: reads.to_vec(),
        writes: writes.to_vec(),
        ..Step::default()
    };
    Problem {
        buffer_bytes: buffer_bytes.to_vec(),
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        steps: steps.iter().map(step).collect(),
    }
}

fn given(problem: &Problem) -> Vec<usize> {
    (0..problem.steps.len()).collect()
}

/// The peak from first and last uses; none if a step reads what is not yet written, or runs before one
/// that it must run after. Moment 0 is
/// before the first step, and the steps run at moments 1, 2, ...
fn peak_bytes(problem: &Problem, order: &[usize]) -> Option<u64> {
    let moment = |step: usize| order.iter().position(|&other| other == step).unwrap() + 1;
    let mut first = vec![0; problem.buffer_bytes.len()];
    let mut last = first.clone();
    for (index, step) in problem.steps.iter().enumerate() {
        for &buffer in &step.writes {
            first[buffer] = moment(index);
            last[buffer] = moment(index);
        }
    }
    for (index, step) in problem.steps.iter().enumerate() {
        for &buffer in &step.reads {
            if moment(index) <= first[buffer] {
                return None;
            }
            last[buffer] = last[buffer].max(moment(index));
        }
        if step.after.iter().any(|&after| moment(index) <= moment(after)) {
            return None;
        }
    }
    for &buffer in &problem.outputs {
        last[buffer] = order.len() + 1;
    }
    let bytes = |buffer: usize| u64::from(problem.buffer_bytes[buffer]);
    let alive_bytes = |moment: usize| -> u64 {
        let buffers = 0..problem.buffer_bytes.len();
        let alive = buffers.filter(|&buffer| (first[buffer]..=last[buffer]).contains(&moment));
        alive.map(bytes).sum()
    };
    let in_place_bytes = |moment: usize| {
        let step = &problem.steps[order[moment - 1]];
        match (step.in_place, step.writes.first()) {
            (Some(read), Some(&written)) if last[read] == moment && bytes(written) <= bytes(read) => {
                bytes(written)
            }
            _ => 0,
        }
    };
    let during = (1..=order.len()).map(|moment| alive_bytes(moment) - in_place_bytes(moment));
    during.chain([alive_bytes(0)]).max()
}

/// The smallest peak, by trying every order.
fn smallest_peak_bytes(problem: &Problem, order: &mut Vec<usize>) -> Option<u64> {
    if order.len() == problem.steps.len() {
        return peak_bytes(problem, order);
    }
    let mut smallest: Option<u64> = None;
    for step in given(problem) {
        if !order.contains(&step) {
            order.push(step);
            let peak = smallest_peak_bytes(problem, order);
            smallest = smallest.into_iter().chain(peak).min();
            order.pop();
        }
    }
    smallest
}

/// Any problem of up to `step_count` steps, which read up to three of the last `window` buffers.
fn any_problem(step_count: usize, window: usize) -> impl Strategy<Value = Problem> {
    let input_bytes = prop::collection::vec(0_u32..50, 0..3);
    let read = prop::collection::vec(any::<prop::sample::Index>(), 0..=3);
    let written_bytes = prop::collection::vec(0_u32..50, 0..=2);
    let after = prop::collection::vec(any::<prop::sample::Index>(), 0..=1);
    let step = (read, written_bytes, any::<bool>(), after);
    let steps = prop::collection::vec(step, 0..=step_count);
    let outputs = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    (input_bytes, steps, outputs).prop_map(move |(input_bytes, steps, outputs)| {
        let mut problem = Problem { inputs: (0..input_bytes.len()).collect(), ..Problem::default() };
        problem.buffer_bytes = input_bytes;
        for (reads, written_bytes, is_in_place, after) in steps {
            let known = problem.buffer_bytes.len();
            let recent = known.min(window);
            let reads = reads.into_iter().filter(|_| recent > 0);
            let reads: Vec<usize> = reads.map(|index| known - 1 - index.index(recent)).collect();
            let in_place = reads.first().copied().filter(|_| is_in_place);
            let writes = (known..known + written_bytes.len()).collect();
            problem.buffer_bytes.extend(written_bytes);
            let step = problem.steps.len();
            let after = after.into_iter().filter(|_| step > 0).map(|index| index.index(step)).collect();
            problem.steps.push(Step { reads, writes, in_place, after });
        }
        let known = problem.buffer_bytes.len();
        let outputs = outputs.into_iter().filter(|_| known > 0);
        problem.outputs = outputs.map(|index| index.index(known)).collect();
        problem
    })
}

proptest! {
    #[test]
    fn a_few_steps_are_ordered_optimally(problem in any_problem(7, 20)) {
        let order = order(&problem).unwrap();
        let smallest = smallest_peak_bytes(&problem, &mut Vec::new());
        prop_assert!(order.optimal);
        prop_assert_eq!(Some(order.peak_bytes), smallest);
        prop_assert_eq!(peak_bytes(&problem, &order.steps), smallest);
        if peak_bytes(&problem, &given(&problem)) == smallest {
            prop_assert_eq!(order.steps, given(&problem));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn many_steps_are_never_ordered_worse(problem in any_problem(60, 8)) {
        let found = order(&problem).unwrap();
        prop_assert_eq!(peak_bytes(&problem, &found.steps), Some(found.peak_bytes));
        let given_peak = peak_bytes(&problem, &given(&problem)).unwrap();
        prop_assert!(found.peak_bytes <= given_peak);
        if found.peak_bytes == given_peak {
            prop_assert_eq!(&found.steps, &given(&problem));
        }
        prop_assert_eq!(order(&problem).unwrap(), found);
    }
}

#[test]
fn a_branch_is_finished_before_the_next_one_begins() {
    // Two branches of one large and one small buffer, run side by side.
    let problem = problem(
        &[10, 100, 100, 5, 5, 20],
        &[0],
        &[5],
        &[(&[0], &[1]), (&[0], &[2]), (&[1], &[3]), (&[2], &[4]), (&[3, 4], &[5])],
    );
    assert_eq!(peak_bytes(&problem, &given(&problem)), Some(210));
    let order = order(&problem).unwrap();
    assert_eq!(order, Order { steps: vec![0, 2, 1, 3, 4], peak_bytes: 115, optimal: true });
}

#[test]
fn the_branch_with_the_largest_intermediate_and_the_smallest_result_goes_first() {
    // An inception block: a 1 × 1 branch, and a narrow one with a wide intermediate.
    let problem = problem(
        &[64, 90, 200, 10, 100],
        &[0],
        &[4],
        &[(&[0], &[1]), (&[0], &[2]), (&[2], &[3]), (&[1, 3], &[4])],
    );
    assert_eq!(peak_bytes(&problem, &given(&problem)), Some(64 + 90 + 200));
    let order = order(&problem).unwrap();
    assert_eq!(order, Order { steps: vec![1, 2, 0, 3], peak_bytes: 274, optimal: true });
}

#[test]
fn a_step_waits_until_it_may_overwrite_its_input() {
    let mut problem =
        problem(&[100, 100, 10, 100], &[0], &[3], &[(&[0], &[1]), (&[0], &[2]), (&[1, 2], &[3])]);
    problem.steps[0].in_place = Some(0);
    problem.steps[2].in_place = Some(1);
    assert_eq!(peak_bytes(&problem, &given(&problem)), Some(210));
    let order = order(&problem).unwrap();
    assert_eq!(order, Order { steps: vec![1, 0, 2], peak_bytes: 110, optimal: true });
}

#[test]
fn only_what_lowers_the_peak_is_reordered() {
    // The block of the test above but one, once too large and once small.
    let problem = problem(
        &[10, 100, 100, 5, 5, 10, 20, 20, 5, 5, 10],
        &[0],
        &[10],
        &[
            (&[0], &[1]),
            (&[0], &[2]),
            (&[1], &[3]),
            (&[2], &[4]),
            (&[3, 4], &[5]),
            (&[5], &[6]),
            (&[5], &[7]),
            (&[6], &[8]),
            (&[7], &[9]),
            (&[8, 9], &[10]),
        ],
    );
    let order = order(&problem).unwrap();
    assert_eq!(order.steps, [0, 2, 1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!((order.peak_bytes, order.optimal), (115, true));
}

#[test]
fn equal_branches_keep_their_order() {
    let problem = problem(
        &[10, 20, 20, 20, 20],
        &[0],
        &[4],
        &[(&[0], &[1]), (&[0], &[2]), (&[0], &[3]), (&[1, 2, 3], &[4])],
    );
    let order = order(&problem).unwrap();
    assert_eq!(order, Order { steps: vec![0, 1, 2, 3], peak_bytes: 80, optimal: true });
}

#[test]
fn a_chain_keeps_its_order_however_long() {
    let steps: Vec<Step> = (0..10_000)
        .map(|step| Step { reads: vec![step], writes: vec![step + 1], ..Step::default() })
        .collect();
    let buffer_bytes = (0..=10_000).map(|buffer| 100 + buffer % 7).collect();
    let problem = Problem { buffer_bytes, inputs: vec![0], outputs: vec![10_000], steps };
    let order = order(&problem).unwrap();
    assert_eq!(order, Order { steps: given(&problem), peak_bytes: 211, optimal: true });
}

#[test]
fn eight_branches_of_25_steps_run_one_after_the_other() {
    let (branch_count, branch_len) = (8, 25);
    let mut steps = Vec::new();
    let mut buffer_bytes = vec![10];
    let mut ends = vec![0; branch_count];
    for depth in 1..=branch_len {
        for end in &mut ends {
            steps.push(Step { reads: vec![*end], writes: vec![buffer_bytes.len()], ..Step::default() });
            *end = buffer_bytes.len();
            buffer_bytes.push(if depth == branch_len { 1 } else { 50 });
        }
    }
    let problem = Problem { buffer_bytes, inputs: vec![0], outputs: ends, steps };
    let order = order(&problem).unwrap();
    // Amid the seventh branch: the input, six results and two neighbours. The last one frees the
    // input when it begins.
    assert_eq!(order.peak_bytes, 10 + 6 + 100);
    assert_eq!(peak_bytes(&problem, &order.steps), Some(order.peak_bytes));
    assert!(order.optimal);
}

#[test]
fn an_input_is_alive_until_its_last_use_and_an_output_to_the_end() {
    let problem = problem(
        &[1, 20, 300, 4_000, 50_000],
        &[0, 1],
        &[2, 4],
        &[(&[1], &[2]), (&[0, 2], &[3]), (&[3], &[4])],
    );
    assert_eq!(order(&problem).unwrap().peak_bytes, 300 + 4_000 + 50_000);
    let until_last_use = Problem { steps: problem.steps[..2].to_vec(), outputs: vec![2], ..problem };
    assert_eq!(order(&until_last_use).unwrap().peak_bytes, 1 + 300 + 4_000);
}

#[test]
fn an_input_that_nobody_reads_is_alive_before_the_first_step() {
    let problem = problem(&[500, 20, 300], &[0, 1], &[2], &[(&[1], &[2])]);
    assert_eq!(order(&problem).unwrap().peak_bytes, 520);
}

#[test]
fn scratch_memory_is_alive_during_its_step() {
    let problem = problem(&[10, 10, 500, 10], &[0], &[3], &[(&[0], &[1, 2]), (&[1], &[3])]);
    assert_eq!(order(&problem).unwrap().peak_bytes, 520);
}

#[test]
fn a_buffer_read_twice_by_one_step_counts_once() {
    let problem = problem(&[10, 30], &[0], &[1], &[(&[0, 0], &[1])]);
    assert_eq!(order(&problem).unwrap().peak_bytes, 40);
}

#[test]
fn no_steps_need_their_inputs() {
    let problem = problem(&[10, 20], &[0, 1], &[1], &[]);
    let nothing = Order { steps: vec![], peak_bytes: 30, optimal: true };
    assert_eq!(order(&problem), Ok(nothing));
}

#[test]
fn a_buffer_that_does_not_exist_is_refused() {
    let error = Err(OrderError::UnknownBuffer { buffer: 2, buffer_count: 2 });
    assert_eq!(order(&problem(&[1, 1], &[2], &[], &[])), error);
    assert_eq!(order(&problem(&[1, 1], &[], &[2], &[])), error);
    assert_eq!(order(&problem(&[1, 1], &[], &[], &[(&[2], &[])])), error);
    assert_eq!(order(&problem(&[1, 1], &[], &[], &[(&[], &[2])])), error);
}

#[test]
fn a_read_before_the_write_is_refused() {
    let problem = problem(&[1, 1, 1], &[0], &[], &[(&[1], &[2]), (&[0], &[1])]);
    let error = OrderError::ReadBeforeWritten { step: 0, buffer: 1 };
    assert_eq!(order(&problem), Err(error));
}

#[test]
fn a_second_write_is_refused() {
    let error = |step, buffer| Err(OrderError::WrittenTwice { step, buffer });
    let twice = problem(&[1, 1], &[0], &[], &[(&[0], &[1]), (&[0], &[1])]);
    assert_eq!(order(&twice), error(1, 1));
    assert_eq!(order(&problem(&[1, 1], &[0], &[], &[(&[], &[0])])), error(0, 0));
}

#[test]
fn an_in_place_write_over_what_is_not_read_is_refused() {
    let mut problem = problem(&[1, 1, 1], &[0, 1], &[], &[(&[0], &[2])]);
    problem.steps[0].in_place = Some(1);
    let error = OrderError::InPlaceNotRead { step: 0, buffer: 1 };
    assert_eq!(order(&problem), Err(error));
}

#[test]
fn a_step_runs_after_those_that_it_must_run_after() {
    // The second step of a branch that frees memory at once waits for the other branch.
    let mut problem = problem(
        &[10, 100, 100, 5, 5],
        &[0],
        &[3, 4],
        &[(&[0], &[1]), (&[0], &[2]), (&[1], &[3]), (&[2], &[4])],
    );
    assert_eq!(order(&problem).unwrap().peak_bytes, 115);
    problem.steps[2].after = vec![1];
    problem.steps[3].after = vec![0];
    let order = order(&problem).unwrap();
    assert_eq!(order, Order { steps: vec![0, 1, 2, 3], peak_bytes: 210, optimal: true });
}

#[test]
fn a_step_that_must_run_after_a_later_one_is_refused() {
    let mut problem = problem(&[1, 1, 1], &[0], &[], &[(&[0], &[1]), (&[0], &[2])]);
    problem.steps[0].after = vec![1];
    assert_eq!(order(&problem), Err(OrderError::AfterLater { step: 0, after: 1 }));
}

#[test]
fn an_output_that_is_never_written_is_refused() {
    let problem = problem(&[1, 1], &[0], &[1], &[]);
    assert_eq!(order(&problem), Err(OrderError::OutputNotWritten { buffer: 1 }));
}
