//! Inference in one task of Embassy while another blinks: between two blinks lies one step and no more, or a part of
//! one of a budget in multiply-accumulates.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use defmt::{error, info, println};
use embassy_executor::{Executor, Spawner};
use embassy_futures::yield_now;
use firmware_example::counter::Counter;
use firmware_example::{checked, entry, exit, init};
use flatpack_runtime::{Progress, RunError, Session, include_model};
use static_cell::{ConstStaticCell, StaticCell};

include_model!(DIGITS, "digits_cnn_int8.fpk");

static ARENA: ConstStaticCell<DIGITS::Arena> = ConstStaticCell::new(DIGITS::ARENA);
static EXECUTOR: StaticCell<Executor> = StaticCell::new();

/// Instructions of the scheduler between two tasks, at most.
const SCHEDULER: u32 = 500;

/// Multiply-accumulates between two blinks, as far as a row of a convolution has no more.
const BUDGET: u32 = 4_000;

/// Blinks so far, and the most instructions between two of them.
static BLINKS: AtomicU32 = AtomicU32::new(0);
static PAUSE: AtomicU32 = AtomicU32::new(0);

firmware_example::log_faults!();

#[entry]
fn main() -> ! {
    init();
    match ARENA.try_take().zip(EXECUTOR.try_uninit()) {
        Some((arena, executor)) => executor.write(Executor::new()).run(|spawner| {
            if start(spawner, arena).is_none() {
                exit(false);
            }
        }),
        None => exit(false),
    }
}

fn start(spawner: Spawner, arena: &'static mut DIGITS::Arena) -> Option<()> {
    let counter = Counter::start()?;
    let session = checked(DIGITS::load(arena))?;
    spawner.spawn(blink(counter).ok()?);
    spawner.spawn(classify(counter, session).ok()?);
    Some(())
}

#[embassy_executor::task]
async fn blink(counter: Counter) {
    let mut last = counter.now();
    loop {
        // A light would be toggled here.
        BLINKS.fetch_add(1, Relaxed);
        PAUSE.fetch_max(counter.since(last), Relaxed);
        last = counter.now();
        yield_now().await;
    }
}

/// An inference in parts of at most so many multiply-accumulates: the longest pause between two blinks, and the
/// slowest part, in instructions.
async fn run(counter: Counter, session: &mut Session<'static>, macs: u32) -> Result<[u32; 2], RunError> {
    yield_now().await;
    PAUSE.store(0, Relaxed);
    BLINKS.store(0, Relaxed);
    let mut slowest = 0;
    loop {
        let (progress, instructions) = counter.instructions(|| session.step_within(macs));
        slowest = slowest.max(instructions);
        yield_now().await;
        if progress? == Progress::Done {
            return Ok([PAUSE.load(Relaxed), slowest]);
        }
    }
}

#[embassy_executor::task]
async fn classify(counter: Counter, mut session: Session<'static>) {
    let result = async {
        let (whole, instructions) = counter.instructions(|| session.run());
        whole?;
        println!("pause of a run: {=u32} instructions", instructions);
        let [step, slowest] = run(counter, &mut session, u32::MAX).await?;
        println!("pause of a step: {=u32} instructions, {=u32} of them the slowest step", step, slowest);
        let [part, longest] = run(counter, &mut session, BUDGET).await?;
        println!("pause of a part: {=u32} instructions, {=u32} of them the slowest part", part, longest);
        Ok::<bool, RunError>(step <= slowest + SCHEDULER && part <= longest + SCHEDULER && part < step)
    };
    let result = result.await;
    match &result {
        Ok(true) => info!("{=u32} blinks in an inference, at most one part apart", BLINKS.load(Relaxed)),
        Ok(false) => error!("the light waited for more than it should"),
        Err(error) => error!("{}", error),
    }
    exit(result == Ok(true));
}
