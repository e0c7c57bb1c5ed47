//! Steps that several threads compute: each some rows of the output. Without the feature `threads` there are none.

use crate::arch::Image;

/// What a step may be computed on besides the thread that runs it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Threads<'a> {
    #[cfg(feature = "threads")]
    pub(crate) pool: Option<&'a pool::Pool>,
    #[cfg(not(feature = "threads"))]
    pub(crate) none: core::marker::PhantomData<&'a ()>,
}

#[cfg(not(feature = "threads"))]
impl Threads<'_> {
    /// Whether there is but one.
    #[inline(always)]
    pub(crate) fn is_one(self) -> bool {
        true
    }

    /// `whole` of the image.
    #[inline(always)]
    pub(crate) fn compute<T>(
        self,
        image: &Image,
        _depth: usize,
        x: &[T],
        y: &mut [T],
        whole: impl FnOnce(&Image, &[T], &mut [T]) -> Option<()>,
        _part: impl Fn(&Image, &[T], &mut [T]) -> Option<()>,
    ) -> Option<()> {
        whole(image, x, y)
    }

    /// `f` of all of y.
    #[inline(always)]
    pub(crate) fn share<T>(
        self,
        y: &mut [T],
        _unit: usize,
        _macs: usize,
        f: impl Fn(usize, &mut [T]) -> Option<()>,
    ) -> Option<()> {
        f(0, y)
    }
}

#[cfg(feature = "threads")]
pub(crate) mod pool {
    use super::{Image, Threads};
    use core::hint;
    use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use core::time::Duration;
    use rayon_core::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder, Yield};
    use std::format;
    use std::sync::Arc;
    use std::thread;
    use std::time::Instant;

    /// Multiply-accumulates that are worth another thread: some microseconds of work. Tests find any worth it.
    const WORTH: usize = if cfg!(test) { 1 } else { 100_000 };

    /// How long threads look for work before they sleep.
    const PATIENCE: Duration = Duration::from_micros(200);

    /// How long they do so without giving way to others: a call of the system takes as long as a small step.
    const HASTE: Duration = Duration::from_micros(20);

    /// Waits a moment, after so long a wait. `false` if the thread had better sleep: it ran out of patience, or gave way
    /// to one that then ran for long. The two share a processor, and if neither sleeps they may go on to do so while
    /// another one is idle; a thread that is woken is put on that.
    fn pause(waited: Duration) -> bool {
        if waited < HASTE {
            hint::spin_loop();
            return true;
        }
        let since = Instant::now();
        thread::yield_now();
        waited < PATIENCE && since.elapsed() < HASTE
    }

    /// The threads of a session.
    #[derive(Debug)]
    pub(crate) struct Pool {
        /// All but the one that runs the session.
        others: ThreadPool,
        /// How many of them are at work, or look for it.
        awake: Arc<AtomicUsize>,
        /// All.
        count: usize,
    }

    impl Pool {
        /// So many threads in all; none for one or fewer.
        pub(crate) fn new(count: usize) -> Result<Option<Self>, ThreadPoolBuildError> {
            if count < 2 {
                return Ok(None);
            }
            let name = |at| format!("flatpack {}", at + 2);
            let others = ThreadPoolBuilder::new().num_threads(count - 1).thread_name(name).build()?;
            Ok(Some(Self { others, awake: Arc::default(), count }))
        }

        /// Has all threads look for work until there was none for as long as they have patience: steps follow each
        /// other faster than a thread that sleeps is woken.
        fn wake(&self) {
            let mut awake = self.awake.load(Ordering::Relaxed);
            while awake + 1 < self.count {
                let now_awake = Arc::clone(&self.awake);
                awake = now_awake.fetch_add(1, Ordering::Relaxed) + 1;
                self.others.spawn(move || {
                    let mut since = Instant::now();
                    loop {
                        let waited = since.elapsed();
                        match rayon_core::yield_now() {
                            Some(Yield::Executed) => since = Instant::now(),
                            _ if pause(waited) => {}
                            _ => break,
                        }
                    }
                    now_awake.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
    }

    impl<'a> Threads<'a> {
        /// Whether there is but one.
        pub(crate) fn is_one(self) -> bool {
            self.pool.is_none()
        }

        /// `whole` of the image, or `part` of each of its parts side by side, if an output of `depth`
        /// multiply-accumulates makes it worth that. `None` if one of them gave it: y is then to be computed anew.
        pub(crate) fn compute<T: Send + Sync>(
            self,
            image: &Image,
            depth: usize,
            x: &[T],
            y: &mut [T],
            whole: impl FnOnce(&Image, &[T], &mut [T]) -> Option<()>,
            part: impl Fn(&Image, &[T], &mut [T]) -> Option<()> + Sync,
        ) -> Option<()> {
            let (rows, row) = (image.rows(), y.len().checked_div(image.rows())?);
            match self.count(y.len().saturating_mul(depth), rows) {
                Some((pool, count)) => pool.share(count, y, row, |first, y| {
                    let (some, x_from) = image.some_rows(first, y.len().checked_div(row)?);
                    part(&some, x.get(x_from..)?, y)
                }),
                None => whole(image, x, y),
            }
        }

        /// `f` of parts of y that are made of whole units, of the unit that each begins with, side by side if so many
        /// multiply-accumulates, or what takes as long, make it worth that. `None` if one of them gave it.
        pub(crate) fn share<T: Send>(
            self,
            y: &mut [T],
            unit: usize,
            macs: usize,
            f: impl Fn(usize, &mut [T]) -> Option<()> + Sync,
        ) -> Option<()> {
            match self.count(macs, y.len().checked_div(unit).unwrap_or(0)) {
                Some((pool, count)) => pool.share(count, y, unit, f),
                None => f(0, y),
            }
        }

        /// The threads and how many of them are worth it, if they are two or more.
        fn count(self, macs: usize, units: usize) -> Option<(&'a Pool, usize)> {
            let pool = self.pool?;
            let count = pool.count.min(macs / WORTH).min(units);
            (count > 1).then_some((pool, count))
        }
    }

    impl Pool {
        /// `f` of so many parts of y. `None` if one of them gave it.
        fn share<T: Send>(
            &self,
            count: usize,
            y: &mut [T],
            unit: usize,
            f: impl Fn(usize, &mut [T]) -> Option<()> + Sync,
        ) -> Option<()> {
            self.wake();
            let (all, left) = (AtomicBool::new(true), AtomicUsize::new(count));
            let compute = |first: usize, y: &mut [T]| {
                if f(first, y).is_none() {
                    all.store(false, Ordering::Relaxed);
                }
                left.fetch_sub(1, Ordering::Relaxed);
            };
            let units = y.len().checked_div(unit)?;
            self.others.in_place_scope(|scope| {
                let (compute, mut rest) = (&compute, y);
                for at in 0..count {
                    let (first, end) = (at * units / count, (at + 1) * units / count);
                    if at + 1 < count {
                        let (y, after) = rest.split_at_mut_checked((end - first) * unit)?;
                        rest = after;
                        scope.spawn(move |_| compute(first, y));
                    } else {
                        // With what is left of the last unit.
                        compute(first, core::mem::take(&mut rest));
                    }
                }
                // The end of the scope waits for the others, too, but asleep.
                let since = Instant::now();
                while left.load(Ordering::Relaxed) > 0 && pause(since.elapsed()) {}
                Some(())
            })?;
            all.into_inner().then_some(())
        }
    }
}
