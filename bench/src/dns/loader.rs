//! Asks as fast as answers come, and checks every one.

use super::check::{Checker, Wrong};
use super::socket::{BATCH, BatchSocket};
use super::zone::Query;
use nix::errno::Errno;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What is not answered for this long is lost. Loopback answers within a millisecond.
const PATIENCE: Duration = Duration::from_millis(200);
/// A server that answers nothing for this long is gone.
const GONE: Duration = Duration::from_secs(3);
/// Rounds of the loop between two looks at the clock.
const LOOK: usize = 32;

/// How hard to ask.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Client sockets.
    pub sockets: usize,
    /// Queries that may be unanswered, for each socket.
    pub window: usize,
    /// For how long.
    pub duration: Duration,
    /// What comes back is to be the query itself.
    pub echo: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Right answers.
    pub answers: u64,
    /// Queries without an answer.
    pub lost: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Outcome {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds
    }
}

/// Why a run counts for nothing.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An answer is not the right one.
    #[error("a wrong answer to {name}: {wrong}")]
    Wrong {
        /// What was asked for.
        name: String,
        /// What is wrong.
        wrong: Wrong,
    },
    /// Nothing comes back.
    #[error("the server answered nothing for {} seconds", GONE.as_secs())]
    Gone,
    /// The system refused.
    #[error("loading the server: {0}")]
    Io(#[from] std::io::Error),
}

impl From<Errno> for LoadError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Loads a server. Answers that are wrong end the run.
pub fn run(server: SocketAddr, queries: &[Query], load: Load) -> Result<Outcome, LoadError> {
    let mut checker = if load.echo { Checker::of_echo(queries) } else { Checker::new(queries) };
    let mut clients = (0..load.sockets)
        .map(|n| Client::new(server, queries, n * queries.len() / load.sockets, load.window))
        .collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    let mut outcome = Outcome::default();
    let mut active = start;
    let mut now = start;
    for round in 1.. {
        let mut progress = false;
        for client in &mut clients {
            let answers = client.take(&mut checker)?;
            outcome.answers += answers;
            let sent = client.ask(now)?;
            progress |= answers > 0 || sent > 0;
        }
        // While it waits, the loader spins: to be woken costs time on the server's side.
        if progress && round % LOOK != 0 {
            continue;
        }
        now = Instant::now();
        if progress {
            active = now;
        } else if now - active > GONE {
            return Err(LoadError::Gone);
        }
        outcome.lost += clients.iter_mut().map(|client| client.give_up(now)).sum::<u64>();
        if now - start >= load.duration {
            break;
        }
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    // What is on its way now is not part of the rate, but is checked and may be lost.
    while now.elapsed() < PATIENCE && clients.iter().any(|client| client.outstanding > 0) {
        for client in &mut clients {
            client.take(&mut checker)?;
        }
    }
    outcome.lost += clients.iter().map(|client| client.outstanding as u64).sum::<u64>();
    Ok(outcome)
}

/// A socket, and the queries on their way from it.
struct Client<'a> {
    socket: BatchSocket,
    queries: &'a [Query],
    /// The packets of the next batch.
    packets: Vec<Vec<u8>>,
    /// By id, from the lowest bits: the full id and the query's index.
    waiting: Vec<Option<(u16, u32)>>,
    outstanding: usize,
    window: usize,
    next_id: u16,
    next_query: usize,
    /// When the newest query was sent.
    asked: Instant,
}

impl<'a> Client<'a> {
    fn new(
        server: SocketAddr,
        queries: &'a [Query],
        first: usize,
        window: usize,
    ) -> Result<Self, std::io::Error> {
        Ok(Self {
            socket: BatchSocket::connect(server)?,
            queries,
            packets: vec![queries[0].packet.clone(); BATCH],
            // Twice the window: a late answer rarely keeps the next query from its slot.
            waiting: vec![None; (window.max(BATCH) * 2).next_power_of_two()],
            outstanding: 0,
            window: window.max(BATCH),
            next_id: 0,
            next_query: first,
            asked: Instant::now(),
        })
    }

    /// Sends a batch if there is room for a whole one; how many queries went out.
    fn ask(&mut self, now: Instant) -> Result<usize, Errno> {
        if self.outstanding + BATCH > self.window {
            return Ok(0);
        }
        let mask = self.waiting.len() - 1;
        let mut count = 0;
        for packet in &mut self.packets {
            let id = self.next_id.wrapping_add(count as u16);
            if self.waiting[usize::from(id) & mask].is_some() {
                break;
            }
            packet.copy_from_slice(&self.queries[(self.next_query + count) % self.queries.len()].packet);
            packet[..2].copy_from_slice(&id.to_be_bytes());
            count += 1;
        }
        if count == 0 {
            // An unanswered query is in the way; go around it until it is given up.
            self.next_id = self.next_id.wrapping_add(1);
            return Ok(0);
        }
        let sent = self.socket.send(&self.packets[..count])?;
        for _ in 0..sent {
            self.waiting[usize::from(self.next_id) & mask] = Some((self.next_id, self.next_query as u32));
            self.next_id = self.next_id.wrapping_add(1);
            self.next_query = (self.next_query + 1) % self.queries.len();
        }
        self.outstanding += sent;
        self.asked = now;
        Ok(sent)
    }

    /// Checks what has arrived; how many answers that were.
    fn take(&mut self, checker: &mut Checker<'_>) -> Result<u64, LoadError> {
        if self.outstanding == 0 {
            return Ok(0);
        }
        let mask = self.waiting.len() - 1;
        let mut answers = 0;
        for reply in self.socket.receive()? {
            let id = reply.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
            let slot = &mut self.waiting[usize::from(id) & mask];
            // What was given up may still come: it stays lost.
            let Some((_, index)) = slot.take_if(|(asked, _)| *asked == id) else { continue };
            checker.check(index as usize, reply).map_err(|wrong| {
                let query = &self.queries[index as usize];
                LoadError::Wrong { name: query.packet.escape_ascii().to_string(), wrong }
            })?;
            answers += 1;
        }
        self.outstanding -= answers as usize;
        Ok(answers)
    }

    /// Gives up what has waited too long; how many queries that were.
    fn give_up(&mut self, now: Instant) -> u64 {
        if self.outstanding == 0 || now.saturating_duration_since(self.asked) < PATIENCE {
            return 0;
        }
        self.waiting.fill(None);
        std::mem::take(&mut self.outstanding) as u64
    }
}
