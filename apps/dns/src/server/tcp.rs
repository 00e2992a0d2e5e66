//! Queries over TCP (RFC 7766): several on a connection, answered in order, with limits on time and number.

use super::Shared;
use dns::{Frames, Transport};
use kernlet::Error;
use kernlet::alloc::rc::Rc;
use kernlet::alloc::vec::Vec;
use kernlet::net::{TcpListener, TcpStream};
use kernlet::task::spawn;
use kernlet::time::{Duration, Instant, sleep, timeout};

/// How long a connection may be silent, or take nothing of an answer (RFC 7766, 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// How long one query may take to come in, byte by byte.
const QUERY: Duration = Duration::from_secs(5);
/// Connections at once; more are closed at once, as those that are there would starve otherwise.
const CONNECTIONS: usize = 1000;
/// The largest query that is read: an ordinary one with the longest name and EDNS fits many times.
const LARGEST_QUERY: usize = 4096;
/// The largest answer.
const LARGEST_ANSWER: usize = 65535;

/// Accepts for ever.
pub async fn serve(listener: TcpListener, shared: Rc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if shared.connections.get() < CONNECTIONS => {
                shared.connections.set(shared.connections.get() + 1);
                let open = Open(shared.clone());
                spawn("connection", async move {
                    // A peer that goes away or breaks the protocol ends its connection, and nothing else.
                    let _ = connection(&stream, &open.0).await;
                });
            }
            Ok(_) => {}
            Err(error) => {
                kernlet::log::warning!("tcp: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Counts a connection as long as it is open.
struct Open(Rc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
    }
}

async fn connection(stream: &TcpStream, shared: &Shared) -> Result<(), Error> {
    let _ = stream.set_nodelay(true);
    let mut frames = Frames::new(LARGEST_QUERY);
    // Since when a query has been under way: its time runs on, however often a byte of it comes.
    let mut begun: Option<Instant> = None;
    loop {
        let limit = begun.map_or(IDLE, |at| (at + QUERY).since(Instant::now()));
        let count = timeout(limit, stream.read(frames.space())).await.map_err(|_| Error::ETIMEDOUT)??;
        if count == 0 {
            return Ok(());
        }
        frames.filled(count);
        while let Some(query) = frames.next().map_err(|_| Error::EPROTO)? {
            begun = None;
            let Some(answer) = answer(shared, query) else { return Err(Error::EPROTO) };
            timeout(IDLE, stream.write_all(&answer)).await.map_err(|_| Error::ETIMEDOUT)??;
        }
        begun = frames.partial().then(|| begun.unwrap_or_else(Instant::now));
    }
}

/// The answer with its length in front.
fn answer(shared: &Shared, query: &[u8]) -> Option<Vec<u8>> {
    let mut scratch = shared.scratch.borrow_mut();
    scratch.resize(2 + LARGEST_ANSWER, 0);
    let length = shared.zones.borrow().answer(query, Transport::Tcp, &mut scratch[2..])?;
    let prefix = u16::try_from(length).ok()?.to_be_bytes();
    scratch[..2].copy_from_slice(&prefix);
    Some(scratch[..2 + length].to_vec())
}
