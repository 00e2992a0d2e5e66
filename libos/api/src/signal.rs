//! Signals from `kernlet stop` and `kernlet kill`, and from the terminal of a foreground run.
//!
//! Without a handler a signal does what it does to a Linux process: SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 end the
//! program with status 128 + its number. SIGQUIT prints the backtrace of every task, and the program goes on. SIGKILL
//! cannot be handled.
//!
//! ```no_run
//! # #[kernlet::main]
//! # async fn main() {
//! use kernlet::signal::{SIGHUP, SIGTERM, Signals};
//! let mut signals = Signals::new(&[SIGHUP, SIGTERM]);
//! loop {
//!     match signals.next().await {
//!         SIGHUP => kernlet::println!("reading the configuration again"),
//!         _ => break,
//!     }
//! }
//! # }
//! ```

use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_exec::{Source, spawn};
use kernlet_platform::cell::RefCell;
use kernlet_platform::control::{self, Message};
use kernlet_platform::cpu::CpuLocal;
use kernlet_sync::WaitQueue;

/// Hang-up: by custom, read the configuration again.
pub const SIGHUP: u8 = 1;
/// Interrupt: Ctrl-C.
pub const SIGINT: u8 = 2;
/// Quit: prints the backtrace of every task.
pub const SIGQUIT: u8 = 3;
/// The program's own.
pub const SIGUSR1: u8 = 10;
/// The program's own.
pub const SIGUSR2: u8 = 12;
/// End: what `kernlet stop` sends first.
pub const SIGTERM: u8 = 15;
const SIGCHLD: u8 = 17;
const SIGCONT: u8 = 18;
const SIGURG: u8 = 23;
const SIGWINCH: u8 = 28;

/// How many signals wait for a program that does not take them; more are dropped, as of one kind one is enough.
const QUEUE: usize = 64;

struct Handler {
    wanted: Vec<u8>,
    queue: RefCell<VecDeque<u8>>,
    arrived: WaitQueue,
}

static HANDLERS: CpuLocal<RefCell<Vec<Weak<Handler>>>> = CpuLocal::new(RefCell::default);
/// What hands a signal to the handlers, once there was one: a program without any does not link it.
static OFFER: CpuLocal<Cell<Option<Offer>>> = CpuLocal::new(Cell::default);
/// Takes a signal; `false` when nobody wants it.
type Offer = fn(u8) -> bool;

/// A stream of signals. While it lives, the signals that it takes have no default effect.
pub struct Signals(Rc<Handler>);

impl Signals {
    /// Takes the signals `wanted`.
    pub fn new(wanted: &[u8]) -> Self {
        let handler = Rc::new(Handler {
            wanted: wanted.to_vec(),
            queue: RefCell::default(),
            arrived: WaitQueue::new(),
        });
        HANDLERS.get().borrow_mut().push(Rc::downgrade(&handler));
        OFFER.get().set(Some(offer));
        Self(handler)
    }

    /// The next signal.
    pub async fn next(&mut self) -> u8 {
        self.0.arrived.until(|| self.0.queue.borrow_mut().pop_front()).await
    }
}

/// Starts the task that hears the monitor.
pub(crate) fn listen() {
    let source = Source::new();
    if !control::watch(source.token()) {
        return;
    }
    spawn("control", async move {
        loop {
            while let Some(message) = control::receive() {
                // Other messages only go the other way.
                if let Message::Signal(number) = message {
                    deliver(number);
                }
            }
            source.clear_readable();
            source.readable().await;
        }
    });
}

/// Hands a signal to those who want it; `false` when nobody does.
fn offer(number: u8) -> bool {
    let mut handlers = HANDLERS.get().borrow_mut();
    handlers.retain(|h| h.strong_count() > 0);
    let mut taken = false;
    for handler in handlers.iter().filter_map(Weak::upgrade).filter(|h| h.wanted.contains(&number)) {
        taken = true;
        let mut queue = handler.queue.borrow_mut();
        if queue.len() < QUEUE {
            queue.push_back(number);
        }
        handler.arrived.wake_one();
    }
    taken
}

fn deliver(number: u8) {
    match number {
        _ if OFFER.get().get().is_some_and(|offer| offer(number)) => {}
        SIGQUIT => dump_soon(),
        SIGCHLD | SIGCONT | SIGURG | SIGWINCH => {}
        _ => crate::exit(128u8.saturating_add(number)),
    }
}

/// Prints the backtrace of every task, from a task of its own.
fn dump_soon() {
    spawn("dump", async {
        kernlet_exec::dump(|number, name, spawned, frames| {
            crate::eprintln!(
                "kernlet: task {number} `{name}`, spawned at {}:{}",
                spawned.file(),
                spawned.line()
            );
            for frames in frames {
                crate::io::__print(crate::io::Stream::Err, format_args!("{frames}"), false);
            }
            if frames.is_empty() {
                crate::eprintln!("  running");
            }
        });
    });
}
