//! A thread: a task whose future runs the program's text and handles what that asks for.

use crate::call::{self, Call, restart};
use crate::process::Process;
use crate::signal::{self, Next, ThreadSignals};
use crate::task::ThreadFacts;
use crate::time::CpuTime;
use crate::{Errno, task};
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::Cell;
use core::future::Future;
use core::pin::pin;
use core::task::{Poll, Waker};
use kernlet_platform::cell::RefCell;
use kernlet_platform::clock;
use kernlet_platform::program::{self, Context, Exit};

/// So many calls a thread makes that never wait before others have their turn.
const CALLS: u32 = 512;

/// Who is to be woken so soon has the running thread's turn end then, nanoseconds: turns are counted in CPU time, and on a
/// busy host one takes several times as long.
const SOON: u64 = 10 * program::TURN;

/// A turn lasts so long at least, nanoseconds: were it ended at once, nobody would come to anything while others sleep shortly. It
/// is the timer slack of Linux, within which who sleeps is late there, too.
const LEAST: u64 = 50_000;

/// The most threads of a process.
pub const MOST: u64 = 32_768;
/// Numbers end here (PID_MAX_LIMIT) and begin again.
const LAST: u32 = (1 << 22) - 1;
const FIRST_AGAIN: u32 = 300;

/// A thread.
pub struct Thread {
    /// Its number; the first has the process's.
    pub id: u32,
    /// What it belongs to.
    pub process: Rc<Process>,
    /// Its mask, what is pending for it, its alternate stack.
    pub signals: ThreadSignals,
    /// Where 0 is written and a futex woken at its end (set_tid_address(2)); 0: nowhere.
    pub clear_child_tid: Cell<usize>,
    /// The head of its robust futexes (set_robust_list(2)); 0: none.
    pub robust_list: Cell<usize>,
    /// The mask from before a wait with one of its own, which comes back when what ended the wait has been delivered.
    pub saved_mask: Cell<Option<u64>>,
    /// Its name (PR_SET_NAME), filled up with 0.
    pub name: Cell<[u8; 16]>,
    /// It ends before it runs any more of the program.
    pub ending: Cell<bool>,
    /// The status that it ended with.
    pub status: Cell<u8>,
    /// CPU time that it used.
    pub cpu: CpuTime,
    /// How often it waited, and how often its turn was over first.
    pub switches: [Cell<u64>; 2],
    /// What prctl(2) sets of it.
    pub facts: ThreadFacts,
    /// The deadline of a call that is made again.
    resumed: Cell<Option<u64>>,
    /// It waits interruptibly.
    pub waits: Cell<bool>,
    /// Wakes it where it waits interruptibly.
    waker: RefCell<Option<Waker>>,
}

impl Thread {
    /// A new thread of `process`, under the next number. It runs when [`spawn`] is told so.
    pub fn new(process: &Rc<Process>) -> Rc<Self> {
        let mut id = process.next_thread.get();
        while process.threads.borrow().contains_key(&id) {
            id = if id >= LAST { FIRST_AGAIN } else { id + 1 };
        }
        process.next_thread.set(if id >= LAST { FIRST_AGAIN } else { id + 1 });
        let thread = Rc::new(Self {
            id,
            process: process.clone(),
            signals: ThreadSignals::default(),
            clear_child_tid: Cell::new(0),
            robust_list: Cell::new(0),
            saved_mask: Cell::new(None),
            name: Cell::default(),
            ending: Cell::new(false),
            status: Cell::new(0),
            cpu: CpuTime::default(),
            switches: Default::default(),
            facts: ThreadFacts::default(),
            resumed: Cell::new(None),
            waits: Cell::new(false),
            waker: RefCell::default(),
        });
        process.threads.borrow_mut().insert(id, Rc::downgrade(&thread));
        thread
    }

    /// A new thread of the same process, with what one has from the thread that made it.
    pub fn new_like(other: &Self) -> Rc<Self> {
        let thread = Self::new(&other.process);
        thread.signals.mask.set(other.signals.mask.get());
        thread.name.set(other.name.get());
        thread.facts.set(&other.facts);
        thread
    }

    /// The deadline of the call that is made again, if that is one: a call that takes a duration asks for this first.
    pub fn resumed(&self) -> Option<u64> {
        self.resumed.take()
    }

    /// A call is about to give [`restart::BLOCK`]: made again, it waits until `deadline`, whatever its arguments say.
    pub fn resume_until(&self, deadline: u64) {
        self.resumed.set(Some(deadline));
    }

    /// Has it look at what is pending, where it waits interruptibly. One that runs looks before it goes on.
    pub fn interrupt(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Waits for `future`, but no longer than until a signal is to be delivered to this thread, or the thread is to end.
    ///
    /// # Errors
    /// `ERESTARTSYS` ([`restart::SYS`]) when that came first; calls that are never restarted make EINTR of it.
    pub async fn interruptible<F: Future>(&self, future: F) -> Result<F::Output, Errno> {
        let mut future = pin!(future);
        core::future::poll_fn(|context| {
            self.waits.set(false);
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(value));
            }
            // While tasks are traced, nothing happens.
            if kernlet_sync::trace::leaf() {
                return Poll::Pending;
            }
            if self.ending.get() || signal::is_pending(self) {
                return Poll::Ready(Err(restart::SYS));
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            self.waits.set(true);
            Poll::Pending
        })
        .await
    }
}

/// Starts a thread's task. Its context is what it runs with.
pub fn spawn(thread: Rc<Thread>, context: Box<Context>) {
    kernlet_exec::spawn("thread", async move {
        let mut future = pin!(run(thread.clone(), context));
        core::future::poll_fn(|waiter| {
            let start = clock::monotonic();
            thread.cpu.start(start);
            thread.process.cpu.start(start);
            // Who sleeps is woken in time, however long the thread would run.
            let next = kernlet_exec::next_deadline().map(|at| at.nanoseconds());
            program::turn(next.filter(|&at| at < start + SOON).map(|at| at.max(start + LEAST)));
            let outcome = future.as_mut().poll(waiter);
            let stop = clock::monotonic();
            thread.cpu.stop(stop);
            thread.process.cpu.stop(stop);
            let ticks = program::ticks();
            let [one, other] = thread.process.ticks.replace(ticks);
            if [one, other] != ticks {
                let more = [ticks[0] - one, ticks[1] - other];
                thread.cpu.looked(more);
                thread.process.cpu.looked(more);
            }
            thread.switches[0].update(|n| n + 1);
            outcome
        })
        .await;
    });
}

async fn run(thread: Rc<Thread>, mut context: Box<Context>) {
    let mut calls = 0;
    let mut enforced = 0;
    while !thread.ending.get() {
        if signal::is_due(&thread) && signal::deliver(&thread, &mut context, None).await == Next::End {
            break;
        }
        match context.enter() {
            Exit::Call => {
                let call = Call::of(&context.registers);
                let outcome = match call::at_once(&thread, &mut context, call) {
                    Err(call::WAITS) => call::handle(&thread, call).await,
                    outcome => outcome,
                };
                finish(&thread, &mut context, call, outcome).await;
                calls += 1;
                if calls == CALLS {
                    calls = 0;
                    kernlet_exec::look();
                    kernlet_exec::yield_now().await;
                }
            }
            Exit::Trap(trap) => signal::trap(&thread, &mut context, trap),
            Exit::Preempted => {
                // Turns may be short, and asking the host takes its time.
                let now = clock::monotonic();
                if now >= enforced + program::TURN / 2 {
                    enforced = now;
                    crate::memory::limit::enforce(&thread);
                }
                calls = 0;
                thread.switches[1].update(|n| n + 1);
                // The executor polls many tasks before it looks, each of which may use a turn.
                kernlet_exec::look();
                kernlet_exec::yield_now().await;
            }
        }
    }
    signal::retarget(&thread);
    task::end(&thread);
}

/// Gives a call's result to the program; a call that was interrupted is made again or fails, as its signal's action says.
async fn finish(thread: &Rc<Thread>, context: &mut Context, call: Call, outcome: call::Outcome) {
    match outcome {
        Ok(value) => context.registers.rax = value,
        Err(error @ (restart::SYS | restart::NO_INTERRUPT | restart::NO_HANDLER | restart::BLOCK)) => {
            if signal::deliver(thread, context, Some((call, error))).await == Next::End {
                thread.ending.set(true);
            }
        }
        Err(error) => context.registers.rax = -i64::from(error.0) as u64,
    }
}
