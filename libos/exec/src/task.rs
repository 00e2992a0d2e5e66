//! Tasks and the loop that runs them.

use crate::{TURNS, reactor, timer};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::panic::Location;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use kernlet_platform::backtrace::Frames;
use kernlet_platform::cpu::CpuLocal;
use kernlet_platform::event;
use kernlet_sync::{WaitQueue, trace};

type Body = Pin<Box<dyn Future<Output = ()>>>;

/// What a waker leads to.
struct Identity {
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

#[derive(Default)]
struct Executor {
    next: Cell<u64>,
    /// A task's future is taken out while it is polled.
    tasks: RefCell<BTreeMap<u64, (Arc<Identity>, Option<Body>)>>,
    ready: RefCell<VecDeque<Arc<Identity>>>,
}

static EXECUTOR: CpuLocal<Executor> = CpuLocal::new(Executor::default);

impl Executor {
    fn poll(&self, identity: &Arc<Identity>) {
        identity.queued.store(false, Ordering::Relaxed);
        let taken = self.tasks.borrow_mut().get_mut(&identity.number).and_then(|(_, body)| body.take());
        let Some(mut body) = taken else { return };
        let waker = Waker::from(identity.clone());
        match body.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(()) => drop(self.tasks.borrow_mut().remove(&identity.number)),
            Poll::Pending => {
                // It may have been cancelled while it ran: then it is dropped, after the borrow has ended.
                let mut tasks = self.tasks.borrow_mut();
                if let Some((_, place)) = tasks.get_mut(&identity.number) {
                    *place = Some(body);
                } else {
                    drop(tasks);
                    drop(body);
                }
            }
        }
    }

    /// Polls what is ready.
    fn turn(&self) {
        for _ in 0..TURNS {
            let Some(identity) = self.ready.borrow_mut().pop_front() else { break };
            self.poll(&identity);
        }
    }

    /// Looks for events, halting when nothing is ready.
    fn wait(&self) {
        timer::fire();
        let deadline =
            if self.ready.borrow().is_empty() { timer::next_deadline().map(|at| at.nanoseconds()) } else { Some(0) };
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
    number: u64,
    outcome: Rc<Outcome<T>>,
}

impl<T> Task<T> {
    /// Ends the task where it waits; its future is dropped. A task that has ended is left alone.
    pub fn cancel(&self) {
        let removed = EXECUTOR.get().tasks.borrow_mut().remove(&self.number);
        drop(removed);
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
    let executor = EXECUTOR.get();
    let number = executor.next.get();
    executor.next.set(number + 1);
    let outcome =
        Rc::new(Outcome { value: RefCell::new(None), ended: Cell::new(false), done: WaitQueue::new() });
    let ending = Ending(outcome.clone());
    let body = async move {
        let value = future.await;
        *ending.0.value.borrow_mut() = Some(value);
    };
    let identity =
        Arc::new(Identity { number, name, spawned: Location::caller(), queued: AtomicBool::new(false) });
    executor.tasks.borrow_mut().insert(number, (identity.clone(), Some(Box::pin(body))));
    identity.wake();
    Task { number, outcome }
}

/// Runs tasks until `main`, itself a task, has ended; the others stay where they are.
#[track_caller]
pub fn block_on<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
    let task = spawn("main", main);
    loop {
        EXECUTOR.get().turn();
        if task.is_finished() {
            break;
        }
        EXECUTOR.get().wait();
    }
    let value = task.outcome.value.borrow_mut().take();
    value.expect("nobody else holds the handle by which main could be cancelled")
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
    let all: alloc::vec::Vec<_> = executor.tasks.borrow().values().map(|(i, _)| i.clone()).collect();
    for identity in all {
        let taken = executor.tasks.borrow_mut().get_mut(&identity.number).and_then(|(_, body)| body.take());
        let mut frames = alloc::vec::Vec::new();
        if let Some(mut body) = taken {
            let waker = Waker::from(identity.clone());
            frames = trace::trace(|| {
                // A future that ends here did not wait at all, which its next poll finds out again: its leaves
                // stay pending while tracing, so only a future without any can end.
                let _ = body.as_mut().poll(&mut Context::from_waker(&waker));
            });
            if let Some((_, place)) = executor.tasks.borrow_mut().get_mut(&identity.number) {
                *place = Some(body);
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
    use alloc::vec::Vec;
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
