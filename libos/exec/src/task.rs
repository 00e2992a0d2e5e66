//! Tasks and the loop that runs them.

use crate::{TURNS, reactor, timer};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::cell::Cell;
use core::future::Future;
use core::panic::Location;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use kernlet_platform::backtrace::Frames;
use kernlet_platform::cell::RefCell;
use kernlet_platform::cpu::CpuLocal;
use kernlet_platform::event;
use kernlet_sync::{WaitQueue, trace};

type Body = Pin<Box<dyn Future<Output = ()>>>;

/// What a waker leads to.
struct Identity {
    slot: usize,
    number: u64,
    name: &'static str,
    spawned: &'static Location<'static>,
    queued: AtomicBool,
}

impl Wake for Identity {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            EXECUTOR.get().ready.borrow_mut().push_back(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.load(Ordering::Relaxed) {
            self.clone().wake();
        }
    }
}

/// A task's future is taken out while it is polled.
struct Entry {
    identity: Arc<Identity>,
    body: Option<Body>,
}

#[derive(Default)]
struct Executor {
    next: Cell<u64>,
    tasks: RefCell<Vec<Option<Entry>>>,
    free: RefCell<Vec<usize>>,
    ready: RefCell<VecDeque<Arc<Identity>>>,
}

static EXECUTOR: CpuLocal<Executor> = CpuLocal::new(Executor::default);

impl Executor {
    /// Runs `with` on the task's entry, if it is still there: slots are used again.
    fn entry<R>(&self, slot: usize, number: u64, with: impl FnOnce(&mut Option<Entry>) -> R) -> Option<R> {
        let mut tasks = self.tasks.borrow_mut();
        let entry = tasks.get_mut(slot)?;
        (entry.as_ref()?.identity.number == number).then(|| with(entry))
    }

    fn take(&self, identity: &Identity) -> Option<Body> {
        self.entry(identity.slot, identity.number, |e| e.as_mut().and_then(|e| e.body.take()))?
    }

    /// Puts a future back. It may have been cancelled while it ran: then it is dropped.
    fn put_back(&self, identity: &Identity, body: Body) {
        let mut body = Some(body);
        self.entry(identity.slot, identity.number, |e| {
            if let Some(e) = e {
                e.body = body.take();
            }
        });
    }

    /// Ends a task; what is left of its future is dropped when nothing is borrowed any more.
    fn remove(&self, slot: usize, number: u64) {
        let removed = self.entry(slot, number, Option::take);
        if removed.is_some() {
            self.free.borrow_mut().push(slot);
        }
    }

    fn poll(&self, identity: &Arc<Identity>) {
        identity.queued.store(false, Ordering::Relaxed);
        let Some(mut body) = self.take(identity) else { return };
        let waker = Waker::from(identity.clone());
        match body.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(()) => self.remove(identity.slot, identity.number),
            Poll::Pending => self.put_back(identity, body),
        }
    }

    /// A new task, which is ready. Apart from [`spawn`], of which there is a copy for each kind of future.
    fn start(&self, name: &'static str, spawned: &'static Location<'static>, body: Body) -> (usize, u64) {
        let number = self.next.get();
        self.next.set(number + 1);
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.tasks.borrow_mut().push(None);
            self.tasks.borrow().len() - 1
        });
        let identity = Arc::new(Identity { slot, number, name, spawned, queued: AtomicBool::new(false) });
        self.tasks.borrow_mut()[slot] = Some(Entry { identity: identity.clone(), body: Some(body) });
        identity.wake();
        (slot, number)
    }

    /// Polls what is ready.
    fn turn(&self) {
        for _ in 0..TURNS {
            let Some(identity) = self.ready.borrow_mut().pop_front() else { break };
            self.poll(&identity);
        }
    }

    /// Runs tasks until `ended` is set.
    fn run(&self, ended: &Cell<bool>) {
        loop {
            self.turn();
            if ended.get() {
                break;
            }
            self.wait();
        }
    }

    /// Looks for events, halting when nothing is ready.
    fn wait(&self) {
        timer::fire();
        let deadline = if self.ready.borrow().is_empty() {
            timer::next_deadline().map(|at| at.nanoseconds())
        } else {
            Some(0)
        };
        event::wait(deadline, &mut reactor::dispatch);
        timer::fire();
    }
}

struct Outcome<T> {
    value: RefCell<Option<T>>,
    ended: Cell<bool>,
    done: WaitQueue,
}

/// Marks a task as ended when its future is dropped, whether it came to its end or was cancelled.
struct Ending<T>(Rc<Outcome<T>>);

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        self.0.ended.set(true);
        self.0.done.wake_all();
    }
}

/// A spawned task. Dropping this lets the task run on by itself.
pub struct Task<T> {
    slot: usize,
    number: u64,
    outcome: Rc<Outcome<T>>,
}

impl<T> Task<T> {
    /// Ends the task where it waits; its future is dropped. A task that has ended is left alone.
    pub fn cancel(&self) {
        EXECUTOR.get().remove(self.slot, self.number);
    }

    /// Whether it came to its end or was cancelled.
    pub fn is_finished(&self) -> bool {
        self.outcome.ended.get()
    }

    /// Waits for the task's value; `None` when it was cancelled.
    pub async fn join(self) -> Option<T> {
        let outcome = &self.outcome;
        outcome.done.until(|| outcome.ended.get().then(|| outcome.value.borrow_mut().take())).await
    }
}

/// Starts a task under a name that task listings show.
#[track_caller]
pub fn spawn<T: 'static>(name: &'static str, future: impl Future<Output = T> + 'static) -> Task<T> {
    let outcome =
        Rc::new(Outcome { value: RefCell::new(None), ended: Cell::new(false), done: WaitQueue::new() });
    let ending = Ending(outcome.clone());
    let body = async move {
        let value = future.await;
        *ending.0.value.borrow_mut() = Some(value);
    };
    let (slot, number) = EXECUTOR.get().start(name, Location::caller(), Box::pin(body));
    Task { slot, number, outcome }
}

/// Runs tasks until `main`, itself a task, has ended; the others stay where they are.
#[track_caller]
pub fn block_on<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
    let task = spawn("main", main);
    EXECUTOR.get().run(&task.outcome.ended);
    let value = task.outcome.value.borrow_mut().take();
    value.expect("nobody else holds the handle by which main could be cancelled")
}

/// Looks at events and timers without waiting: for a task that wants to know what is ready now.
pub fn look() {
    event::wait(Some(0), &mut reactor::dispatch);
    timer::fire();
}

/// Lets other tasks run first.
pub async fn yield_now() {
    let mut yielded = false;
    core::future::poll_fn(|context| {
        if trace::leaf() {
            return Poll::Pending;
        }
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Tells of each task its number, name, where it was spawned, and the backtraces of the places at which it waits
/// (none: it is running or about to).
pub fn dump(mut tell: impl FnMut(u64, &'static str, &'static Location<'static>, &[Frames])) {
    let executor = EXECUTOR.get();
    let all: Vec<_> = executor.tasks.borrow().iter().flatten().map(|e| e.identity.clone()).collect();
    for identity in all {
        let mut frames = Vec::new();
        if let Some(mut body) = executor.take(&identity) {
            let waker = Waker::from(identity.clone());
            let mut ended = false;
            frames = trace::trace(|| {
                // A future that waits at a place of its own, which knows nothing of tracing, may well end here.
                ended = body.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            });
            if ended {
                executor.remove(identity.slot, identity.number);
            } else {
                executor.put_back(&identity, body);
            }
        }
        tell(identity.number, identity.name, identity.spawned, &frames);
        identity.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, sleep, timeout};
    use kernlet_sync::channel;
    use kernlet_time::{Duration, Instant};

    #[test]
    fn tasks_exchange_values_and_end_with_theirs() {
        let sum = block_on(async {
            let (sender, receiver) = channel(2);
            let producer = spawn("producer", async move {
                for i in 0..100u32 {
                    sender.send(i).await.unwrap();
                }
                "done"
            });
            let mut sum = 0;
            while let Some(value) = receiver.receive().await {
                sum += value;
            }
            assert_eq!(producer.join().await, Some("done"));
            sum
        });
        assert_eq!(sum, 4950);
    }

    #[test]
    fn a_timeout_cancels_what_takes_too_long() {
        struct Flag(Rc<Cell<bool>>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let dropped = Rc::new(Cell::new(false));
        let flag = Flag(dropped.clone());
        let result = block_on(timeout(Duration::from_millis(5), async move {
            let _flag = flag;
            core::future::pending::<()>().await;
        }));
        assert!(result.is_err() && dropped.get());
    }

    #[test]
    fn a_cancelled_task_joins_as_none_and_its_timer_is_gone() {
        block_on(async {
            let task = spawn("sleeper", sleep(Duration::from_secs(3600)));
            yield_now().await;
            assert!(timer::next_deadline().is_some());
            task.cancel();
            assert!(timer::next_deadline().is_none());
            assert!(task.is_finished() && task.join().await.is_none());
        });
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let start = Instant::now();
        let wanted = order.clone();
        block_on(async move {
            let tasks: Vec<_> = [30u64, 10, 20]
                .map(|ms| {
                    let order = order.clone();
                    spawn("sleeper", async move {
                        sleep(Duration::from_millis(ms)).await;
                        order.borrow_mut().push(ms);
                    })
                })
                .into_iter()
                .collect();
            for task in tasks {
                task.join().await;
            }
        });
        assert_eq!(*wanted.borrow(), [10, 20, 30]);
        assert!(start.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn a_dump_shows_every_task_and_disturbs_none() {
        block_on(async {
            let waiting = spawn("waiting", async {
                sleep(Duration::from_millis(5)).await;
                7
            });
            yield_now().await;
            let mut seen = Vec::new();
            dump(|_, name, _, frames| seen.push((name, frames.len())));
            assert_eq!(seen, [("main", 0), ("waiting", 1)]);
            assert_eq!(waiting.join().await, Some(7));
        });
    }

    #[test]
    fn a_source_wakes_its_reader_when_the_host_reports_it() {
        use kernlet_platform::socket::HostDatagram;
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let host = HostDatagram::from_std(socket);
        block_on(async move {
            let source = Source::new();
            host.watch(source.token()).unwrap();
            let mut buffer = [0; 8];
            assert!(host.receive_from(&mut buffer).is_err());
            source.clear_readable();
            spawn("sender", async move {
                sleep(Duration::from_millis(2)).await;
                std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", address).unwrap();
            });
            source.readable().await;
            assert_eq!(host.receive_from(&mut buffer).unwrap().0, 1);
        });
    }
}
