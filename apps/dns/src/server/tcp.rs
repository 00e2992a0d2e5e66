//! Queries over TCP (RFC 7766): several on a connection, answered in order, with limits on time and number.

use super::{Shared, clock};
use core::net::IpAddr;
use dns::{Asker, Frames, Kind, Transfer, Transport, Verdict};
use kernlet::Error;
use kernlet::alloc::rc::Rc;
use kernlet::alloc::vec::Vec;
use kernlet::net::{TcpListener, TcpStream};
use kernlet::task::spawn;
use kernlet::time::{Duration, Instant, sleep, timeout};

/// How long one query may take to come in, byte by byte.
const QUERY: Duration = Duration::from_secs(5);
/// The largest query that is read: an ordinary one with the longest name and EDNS fits many times.
const LARGEST_QUERY: usize = 4096;
/// The largest answer.
const LARGEST_ANSWER: usize = 65535;

/// Accepts for ever.
pub async fn serve(listener: TcpListener, shared: Rc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) if shared.connections.get() < shared.most_connections => {
                shared.connections.set(shared.connections.get() + 1);
                count_connection(&shared, 0);
                let open = Open(shared.clone());
                spawn("connection", async move {
                    // A peer that goes away or breaks the protocol ends its connection, and nothing else.
                    let _ = connection(&stream, peer.ip(), &open.0).await;
                });
            }
            // More are closed at once, as those that are there would starve otherwise.
            Ok(_) => count_connection(&shared, 1),
            Err(error) => {
                kernlet::log::warning!("tcp: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn count_connection(shared: &Shared, what: usize) {
    if let Some(counters) = &shared.counters {
        counters.borrow_mut().connections[what] += 1;
    }
}

/// Counts a connection as long as it is open.
struct Open(Rc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
    }
}

/// A whole answer with its length in front, or a transfer that is to follow.
enum Answer {
    Whole(Vec<u8>),
    Follows(Transfer),
}

async fn connection(stream: &TcpStream, address: IpAddr, shared: &Shared) -> Result<(), Error> {
    let _ = stream.set_nodelay(true);
    let mut frames = Frames::new(LARGEST_QUERY);
    // Since when a query has been under way: its time runs on, however often a byte of it comes.
    let mut begun: Option<Instant> = None;
    loop {
        let limit = begun.map_or(shared.idle, |at| (at + QUERY).since(Instant::now()));
        let count = timeout(limit, stream.read(frames.space())).await.map_err(|_| Error::ETIMEDOUT)??;
        if count == 0 {
            return Ok(());
        }
        frames.filled(count);
        while let Some(query) = frames.next().map_err(|_| Error::EPROTO)? {
            begun = None;
            match answer(shared, query, address).ok_or(Error::EPROTO)? {
                Answer::Whole(answer) => send(stream, shared, &answer).await?,
                Answer::Follows(mut transfer) => {
                    while let Some(message) = framed(shared, |out| transfer.next(out)) {
                        send(stream, shared, &message).await?;
                    }
                }
            }
        }
        begun = frames.partial().then(|| begun.unwrap_or_else(Instant::now));
    }
}

/// Sends a message, which the peer must take before its connection would count as idle.
async fn send(stream: &TcpStream, shared: &Shared, message: &[u8]) -> Result<(), Error> {
    timeout(shared.idle, stream.write_all(message)).await.map_err(|_| Error::ETIMEDOUT)?
}

/// What `write` makes, with its length in front.
fn framed(shared: &Shared, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<Vec<u8>> {
    let mut scratch = shared.scratch.borrow_mut();
    scratch.resize(2 + LARGEST_ANSWER, 0);
    let length = write(&mut scratch[2..])?;
    let prefix = u16::try_from(length).ok()?.to_be_bytes();
    scratch[..2].copy_from_slice(&prefix);
    Some(scratch[..2 + length].to_vec())
}

fn answer(shared: &Shared, query: &[u8], address: IpAddr) -> Option<Answer> {
    let asker = Asker { transport: Transport::Tcp, address, clock };
    let mut follows = None;
    let whole = framed(shared, |out| {
        let zones = shared.zones.borrow();
        let reply = zones.respond(query, &asker, &shared.policy, out);
        shared.note(Transport::Tcp, reply.as_ref(), Verdict::Send);
        let reply = reply?;
        if reply.kind == Kind::Transfer {
            follows = zones.transfer(query, &reply);
            if let Some(counters) = &shared.counters {
                counters.borrow_mut().transfers += 1;
            }
        }
        Some(reply.length)
    });
    match follows {
        Some(transfer) => Some(Answer::Follows(transfer)),
        None => whole.map(Answer::Whole),
    }
}
