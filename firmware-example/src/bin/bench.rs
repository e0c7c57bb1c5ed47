//! Instructions of each step and of an inference, exact under QEMU: with `-icount shift=6` an instruction
//! takes 64 ns of the emulated time, which SysTick counts.

#![no_std]
#![no_main]

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};
use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use firmware_example::exit;
use flatpack_runtime::{Aligned, Block, Model, Session, ops};

static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("FLATPACK_MODEL_PATH")));

/// 256 KiB.
const ARENA_BLOCKS: usize = 1 << 14;

/// Nanoseconds of a tick at the 25 MHz of this board, and of an emulated instruction.
const TICK_NS: u64 = 40;
const INSTRUCTION_NS: u64 = 64;

/// Instructions of a loop of two, by which the counter is judged.
const KNOWN: u32 = 1_000_000;

struct Counter(SYST);

impl Counter {
    const MOST: u32 = 0x00ff_ffff;

    fn new(mut syst: SYST) -> Self {
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(Self::MOST);
        Self(syst)
    }

    /// Instructions that `f` takes.
    fn instructions<T>(&mut self, f: impl FnOnce() -> T) -> (T, u64) {
        self.0.clear_current();
        self.0.enable_counter();
        let start = SYST::get_current();
        let result = f();
        let end = SYST::get_current();
        self.0.disable_counter();
        // The counter counts down, and begins anew once at most.
        let ticks = start.wrapping_sub(end) & Self::MOST;
        (result, u64::from(ticks) * TICK_NS / INSTRUCTION_NS)
    }
}

#[entry]
fn main() -> ! {
    let arena = cortex_m::singleton!(: [Block; ARENA_BLOCKS] = [Block::ZERO; ARENA_BLOCKS]);
    let met = Peripherals::take().zip(arena).is_some_and(|(peripherals, arena)| {
        run(Counter::new(peripherals.SYST), Block::bytes_mut(arena)).is_some()
    });
    exit(met)
}

fn run(mut counter: Counter, arena: &mut [u8]) -> Option<()> {
    let ((), known) = counter.instructions(|| cortex_m::asm::delay(KNOWN / 2 - 1));
    if known.abs_diff(KNOWN.into()) > 20 {
        hprintln!("{} instructions counted for {}: run it with -icount shift=6", known, KNOWN);
        return None;
    }
    let (model, parse) = counter.instructions(|| Model::parse(&FILE.0));
    let model = model.map_err(|error| hprintln!("{}", error)).ok()?;
    let (session, load) = counter.instructions(|| Session::load(model, ops::ALL, arena));
    let mut session = session.map_err(|error| hprintln!("{}", error)).ok()?;
    if let Err(divergence) = session.check_goldens() {
        hprintln!("{}", divergence);
        return None;
    }
    for input in 0..model.inputs().count() {
        session.input_bytes(input)?.fill(1);
    }
    let mut total = 0;
    for step in model.steps() {
        let (progress, instructions) = counter.instructions(|| session.step());
        progress.ok()?;
        total += instructions;
        hprintln!("{:>4} {:<24} {:>10}", step.number(), step.op().name(), instructions);
    }
    hprintln!("parse                         {:>10}", parse);
    hprintln!("load                          {:>10}", load);
    hprintln!("inference                     {:>10}", total);
    hprintln!("arena bytes                   {:>10}", model.header().arena_bytes);
    Some(())
}
