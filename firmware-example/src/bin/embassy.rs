//! Inference in one task of Embassy while another blinks: between two blinks lies one step, and no more.

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

/// Blinks so far, and the most instructions between two of them.
static BLINKS: AtomicU32 = AtomicU32::new(0);
static PAUSE: AtomicU32 = AtomicU32::new(0);

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

#[embassy_executor::task]
async fn classify(counter: Counter, mut session: Session<'static>) {
    let result = async {
        let (whole, instructions) = counter.instructions(|| session.run());
        whole?;
        println!("pause of a run: {=u32} instructions", instructions);

        yield_now().await;
        PAUSE.store(0, Relaxed);
        BLINKS.store(0, Relaxed);
        let mut slowest = 0;
        loop {
            let (progress, instructions) = counter.instructions(|| session.step());
            slowest = slowest.max(instructions);
            yield_now().await;
            if progress? == Progress::Done {
                break;
            }
        }
        let pause = PAUSE.load(Relaxed);
        println!("pause of a step: {=u32} instructions, {=u32} of them the slowest step", pause, slowest);
        Ok::<bool, RunError>(pause <= slowest + SCHEDULER)
    };
    let result = result.await;
    match &result {
        Ok(true) => info!("{=u32} blinks in an inference, at most one step apart", BLINKS.load(Relaxed)),
        Ok(false) => error!("the light waited for more than a step"),
        Err(error) => error!("{}", error),
    }
    exit(result == Ok(true));
}
