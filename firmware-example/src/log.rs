//! defmt over semihosting: what firmware logs, the emulator or the debugger prints.

use core::cell::UnsafeCell;
use critical_section::RestoreState;
use defmt::Encoder;
use semihosting::sys::arm_compat::syscall::{OperationNumber, ParamRegR, RetReg, syscall_readonly};

#[defmt::global_logger]
struct Logger;

struct State {
    encoder: Encoder,
    out: Option<usize>,
    restore: RestoreState,
    /// A frame was begun and not ended.
    open: bool,
}

struct Shared(UnsafeCell<State>);

static STATE: Shared = Shared(UnsafeCell::new(State {
    encoder: Encoder::new(),
    out: None,
    restore: RestoreState::invalid(),
    open: false,
}));

// SAFETY: `Logger` uses it in a critical section, and a chip has one core that runs.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// Only in a critical section.
    unsafe fn with(&self, f: impl FnOnce(&mut State)) {
        // SAFETY: the critical section makes the reference unique, and no `f` calls this.
        f(unsafe { &mut *self.0.get() });
    }
}

/// A request to the host. (What the crate makes of it for files has panics in it.)
fn host(request: OperationNumber, parameters: &[ParamRegR<'_>]) -> RetReg {
    // SAFETY: the parameters are those of SYS_OPEN and SYS_WRITE, which only read them.
    unsafe { syscall_readonly(request, ParamRegR::block(parameters)) }
}

/// The number by which the host knows its terminal, opened to be written.
fn open() -> usize {
    let (name, mode) = (c":tt", 4);
    let parameters = [ParamRegR::c_str(name), ParamRegR::usize(mode), ParamRegR::usize(name.count_bytes())];
    host(OperationNumber::SYS_OPEN, &parameters).usize()
}

fn put(out: Option<usize>) -> impl FnMut(&[u8]) {
    move |bytes| {
        let out = ParamRegR::usize(out.unwrap_or_default());
        host(OperationNumber::SYS_WRITE, &[out, ParamRegR::buf(bytes), ParamRegR::usize(bytes.len())]);
    }
}

// SAFETY: `acquire` begins a critical section and `release` ends it. A fault that cuts a frame off begins
// another, and does not return.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: defmt calls `release` after each `acquire`.
        let restore = unsafe { critical_section::acquire() };
        // SAFETY: the critical section that began here.
        unsafe {
            STATE.with(|state| {
                state.restore = restore;
                if core::mem::replace(&mut state.open, true) {
                    state.encoder = Encoder::new();
                }
                state.out.get_or_insert_with(open);
                state.encoder.start_frame(put(state.out));
            });
        }
    }

    unsafe fn flush() {}

    unsafe fn release() {
        // SAFETY: the critical section that `acquire` began, and which ends here.
        unsafe {
            STATE.with(|state| {
                state.encoder.end_frame(put(state.out));
                state.open = false;
                critical_section::release(state.restore);
            });
        }
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: the critical section that `acquire` began.
        unsafe { STATE.with(|state| state.encoder.write(bytes, put(state.out))) }
    }
}
