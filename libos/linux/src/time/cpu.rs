//! CPU time of a process or thread.
//!
//! It is counted from when a thread's task gets its turn until it gives it back, so that a call costs nothing for it. What
//! the library OS does for the thread counts as the thread's own.

use core::cell::Cell;
use kernlet_platform::clock;
use kernlet_sync::WaitQueue;

/// CPU time, and who waits for it.
#[derive(Debug)]
pub struct CpuTime {
    /// Nanoseconds of the turns that are over.
    used: Cell<u64>,
    /// When the turn that is going on began; `None` while it runs not.
    since: Cell<Option<u64>>,
    /// The earliest time that somebody waits for.
    next: Cell<u64>,
    reached: WaitQueue,
    /// Looks that found the program, and looks that found the library OS.
    ticks: Cell<[u64; 2]>,
    /// What [`Self::split`] told last.
    told: Cell<[u64; 2]>,
}

impl Default for CpuTime {
    fn default() -> Self {
        Self {
            used: Cell::new(0),
            since: Cell::new(None),
            next: Cell::new(u64::MAX),
            reached: WaitQueue::new(),
            ticks: Cell::default(),
            told: Cell::default(),
        }
    }
}

impl CpuTime {
    /// A turn begins.
    pub fn start(&self, now: u64) {
        self.since.set(Some(now));
    }

    /// The turn is over.
    pub fn stop(&self, now: u64) {
        let Some(since) = self.since.take() else { return };
        let used = self.used.get() + now.saturating_sub(since);
        self.used.set(used);
        if used >= self.next.get() {
            self.next.set(u64::MAX);
            self.reached.wake_all();
        }
    }

    /// Whether a turn is going on.
    pub fn runs(&self) -> bool {
        self.since.get().is_some()
    }

    /// Nanoseconds until now.
    pub fn get(&self) -> u64 {
        let running = self.since.get().map_or(0, |since| clock::monotonic().saturating_sub(since));
        self.used.get() + running
    }

    /// Looks at the CPU found the program so often, and the library OS.
    pub fn looked(&self, [program, library]: [u64; 2]) {
        self.ticks.update(|[one, other]| [one + program, other + library]);
    }

    /// Nanoseconds until now, of the program and of the library OS for it, in the proportion in which looks found them. Neither
    /// ever becomes less (cputime_adjust of kernel/sched/cputime.c).
    pub fn split(&self) -> [u64; 2] {
        let (total, [program, library]) = (self.get(), self.ticks.get());
        let [user, system] = self.told.get();
        if user + system >= total {
            return [user, system];
        }
        let share = u128::from(total) * u128::from(library) / u128::from((program + library).max(1));
        let system = (share as u64).clamp(system, total - user);
        self.told.set([total - system, system]);
        self.told.get()
    }

    /// Waits until so many nanoseconds were used.
    pub async fn until(&self, at: u64) {
        self.reached
            .until(|| {
                let reached = self.get() >= at;
                if !reached {
                    self.next.set(self.next.get().min(at));
                }
                reached.then_some(())
            })
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::rc::Rc;

    #[test]
    fn what_the_library_os_used_is_told_in_proportion_and_never_becomes_less() {
        let cpu = CpuTime::default();
        cpu.stop(0);
        let run = |nanoseconds| {
            cpu.start(0);
            cpu.stop(nanoseconds);
        };
        run(100);
        assert_eq!(cpu.split(), [100, 0]);
        cpu.looked([1, 3]);
        run(100);
        assert_eq!(cpu.split(), [100, 100]);
        run(200);
        assert_eq!(cpu.split(), [100, 300]);
        cpu.looked([96, 0]);
        run(100);
        assert_eq!(cpu.split(), [200, 300]);
    }

    #[test]
    fn turns_add_up_and_wake_who_waits_for_them() {
        let cpu = Rc::new(CpuTime::default());
        let waited = cpu.clone();
        kernlet_exec::block_on(async move {
            let waiter = kernlet_exec::spawn("waiter", async move { waited.until(250).await });
            for turn in 0..3 {
                kernlet_exec::yield_now().await;
                assert!(!waiter.is_finished());
                cpu.start(1000 * turn);
                cpu.stop(1000 * turn + 100);
            }
            assert_eq!(cpu.get(), 300);
            waiter.join().await;
        });
    }
}
