//! The server: connections, files, and what bounds them.

mod budget;
mod cache;
mod connection;
mod files;
mod log;
mod pin;
mod requests;
mod segment;
mod table;

use crate::options::Options;
use budget::Budget;
use connection::{Connection, Next};
use core::cell::{Cell, RefCell};
use files::Files;
use http::respond::Clock;
use kernlet::alloc::boxed::Box;
use kernlet::alloc::rc::Rc;
use kernlet::alloc::vec::Vec;
use kernlet::net::{TcpListener, TcpStream};
use kernlet::task::{poll_fn, spawn, yield_now};
use kernlet::time::{Duration, Instant, sleep, unix_time};
use log::Log;
use table::Table;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long answers under way may take once the server is asked to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// How often a lack of descriptors is logged.
const COMPLAINT: Duration = Duration::from_secs(10);
/// What one connection takes that waits for a request, its task and its places in the library OS included, rounded up.
const CONNECTION: usize = 2560;
/// How many connections are closed at once to make room.
const SHED: usize = 16;

/// Buffers that each connection uses while it has something to do, one after the other.
struct Scratch {
    input: Box<[u8]>,
    output: Vec<u8>,
}

/// What all connections share.
pub struct Server {
    options: Options,
    /// Connections at once: as many as were asked for, but not more than half of the memory has room for.
    connections: usize,
    table: Table,
    budget: Budget,
    files: Files,
    scratch: RefCell<Scratch>,
    clock: RefCell<Clock>,
    /// When the time of day has to be read again.
    next_second: Cell<Instant>,
    log: Option<Log>,
    stopping: Cell<bool>,
}

impl Server {
    /// A server without connections.
    pub fn new(options: Options) -> Self {
        let memory = usize::try_from(kernlet::memory_limit().unwrap_or(256 << 20)).unwrap_or(usize::MAX);
        let scratch =
            Scratch { input: kernlet::alloc::vec![0; http::head::LARGEST].into(), output: Vec::new() };
        Self {
            table: Table::default(),
            budget: Budget::new(memory / 4),
            files: Files::new(&options, memory / 8),
            scratch: RefCell::new(scratch),
            clock: RefCell::default(),
            next_second: Cell::new(Instant::from_nanoseconds(0)),
            log: options.log.then(Log::default),
            stopping: Cell::new(false),
            connections: options.connections.min(memory / 2 / CONNECTION),
            options,
        }
    }

    /// Now; the date of answers is brought up to date.
    fn tick(&self) -> Instant {
        let now = Instant::now();
        if now >= self.next_second.get() {
            let day = unix_time();
            self.clock.borrow_mut().set(day.as_secs());
            let left = 1_000_000_000 - u64::from(day.subsec_nanos());
            self.next_second.set(now + Duration::from_nanos(left));
        }
        now
    }
}

/// Accepts for ever. Without room, connections that wait for a request make some.
pub async fn accept(listener: TcpListener, server: Rc<Server>) {
    let mut complained: Option<Instant> = None;
    loop {
        if server.table.count() >= server.connections {
            make_room(&server).await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, _)) => drop(spawn("connection", serve(stream, server.clone()))),
            Err(error) => {
                if complained.is_none_or(|at| at.elapsed() > COMPLAINT) {
                    kernlet::log::warning!("accept: {error}; connections that wait are closed");
                    complained = Some(Instant::now());
                }
                server.files.close_idle();
                make_room(&server).await;
            }
        }
    }
}

async fn make_room(server: &Server) {
    if server.table.shed(SHED) {
        // They go away in their own tasks.
        yield_now().await;
    } else {
        sleep(Duration::from_millis(20)).await;
    }
}

/// Ends what has run out of time, as long as there is anything to watch.
pub async fn watch_deadlines(server: Rc<Server>) {
    loop {
        server.table.filled().await;
        sleep(TICK).await;
        server.table.expire(Instant::now());
    }
}

/// Lets answers under way come to their end, for a while.
pub async fn finish(server: &Server) {
    server.stopping.set(true);
    let asked = Instant::now();
    while server.table.count() > 0 && asked.elapsed() < FAREWELL {
        server.table.shed(usize::MAX);
        sleep(Duration::from_millis(20)).await;
    }
}

/// One connection. What is rare and large waits in a box, so that a connection which waits for a request is small.
async fn serve(stream: TcpStream, server: Rc<Server>) {
    let mut connection = Connection::new(stream, server);
    loop {
        match poll_fn(|context| connection.poll(context)).await {
            Next::Find(lookup) => {
                let server = connection.server().clone();
                connection.found(Box::pin(async move { server.files.find(lookup).await }).await);
            }
            Next::Read => {
                if Box::pin(connection.read_file()).await.is_err() {
                    return;
                }
            }
            Next::Close => return,
        }
    }
}
